//! The Redis engine keeps what every engine promises, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "redis/ahead.rs"]
mod ahead;
#[path = "conformance/suite.rs"]
mod conformance;
#[path = "redis/harness.rs"]
mod harness;
#[expect(dead_code, reason = "other test files use the rest of it")]
#[path = "redis/server.rs"]
mod server;

use std::sync::Arc;

use conformance::Harness;
use coordinator_journal::redis::{OpenError, RedisJournal, RedisOptions};
use coordinator_journal::{Control, Durability, Journal};
use harness::RedisHarness;
use server::{Server, Settings};

conformance!(RedisHarness::plain());

/// The server refuses what a cluster would.
mod in_a_cluster {
    use crate::conformance;
    use crate::harness::RedisHarness;

    conformance!(RedisHarness::cluster());
}

/// As it does with large batches.
mod appended_ahead {
    use crate::conformance;
    use crate::harness::RedisHarness;

    conformance!(RedisHarness::ahead());
}

/// Opens a journal on a server with these settings.
async fn opened(
    settings: Settings,
    options: impl FnOnce(&mut RedisOptions),
) -> Result<String, OpenError> {
    let harness = RedisHarness::on(Arc::new(Server::start(settings)), 1);
    let mut asked = harness.options(conformance::roomy());
    options(&mut asked);
    let journal = RedisJournal::open(asked).await?;
    let engine = journal.stats().await.unwrap().engine;
    journal.close().await;
    Ok(engine)
}

#[tokio::test]
async fn a_server_that_would_evict_messages_is_refused() {
    let evicting = Settings {
        policy: "allkeys-lru",
        ..Settings::default()
    };
    let refused = opened(evicting, |_| {}).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("`allkeys-lru`") && text.contains("noeviction"),
        "{text}"
    );
}

#[tokio::test]
async fn strict_needs_every_write_synced_and_relaxed_says_what_there_is() {
    for (appendfsync, said) in [
        (Some("everysec"), "appendfsync everysec"),
        (None, "appendonly no"),
    ] {
        let settings = Settings {
            appendfsync,
            ..Settings::default()
        };
        let refused = opened(settings.clone(), |_| {}).await.unwrap_err();
        assert!(matches!(refused, OpenError::Unfit { .. }), "{refused}");
        assert!(refused.to_string().contains(said), "{refused}");
        let relaxed = |options: &mut RedisOptions| options.durability = Durability::Relaxed;
        let engine = opened(settings, relaxed).await.unwrap();
        assert!(engine.contains(said), "{engine}");
    }
}

#[tokio::test]
async fn a_server_that_keeps_its_settings_to_itself_is_believed_when_the_operator_says_so() {
    let harness = RedisHarness::plain();
    harness.may("-config");
    let options = harness.options(conformance::roomy());
    let refused = RedisJournal::open(options.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("not told"), "{refused}");
    let journal = RedisJournal::open(RedisOptions {
        asserted: true,
        ..options
    })
    .await
    .unwrap();
    journal.probe().await.unwrap();
    journal.close().await;
}

#[tokio::test]
async fn a_journal_that_is_divided_otherwise_or_of_another_layout_is_refused() {
    let harness = RedisHarness::plain();
    harness.open(conformance::roomy()).await.close().await;
    let other = RedisOptions {
        partitions: 4,
        ..harness.options(conformance::roomy())
    };
    let refused = RedisJournal::open(other).await.unwrap_err().to_string();
    assert!(
        refused.contains("1 partitions") && refused.contains("`journal.redis.partitions = 1`"),
        "{refused}"
    );
    let marks = harness.keys("}:made");
    assert_eq!(marks.len(), 1);
    // Before layouts were written down there was only what they are about.
    harness.server().command(&["DEL", &marks[0]]);
    let shards = marks[0].replace(":made", ":shards");
    harness.server().command(&["SADD", &shards, "0 lane"]);
    let same = harness.options(conformance::roomy());
    let refused = RedisJournal::open(same).await.unwrap_err().to_string();
    assert!(refused.contains("layout 1"), "{refused}");
    assert!(harness.keys("}:made").is_empty(), "it is left as it was");
}

#[tokio::test]
async fn nothing_is_accepted_while_the_server_syncs_less_than_was_promised() {
    let server = Arc::new(Server::start(Settings::default()));
    let harness = RedisHarness::on(server.clone(), 1);
    let journal = harness.open(conformance::roomy()).await;
    journal.probe().await.unwrap();
    server.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    assert!(journal.probe().await.is_err());
    let refused = journal
        .publish(vec![conformance::message(conformance::PAID, "1")])
        .await;
    assert!(refused.is_err());
    server.command(&["CONFIG", "SET", "appendfsync", "always"]);
    journal.probe().await.unwrap();
    conformance::publish(&*journal, conformance::message(conformance::PAID, "1")).await;
    journal.close().await;
}

#[tokio::test]
async fn a_server_that_was_killed_has_what_it_accepted_and_is_found_again() {
    let server = Arc::new(Server::start(Settings::default()));
    let harness = RedisHarness::on(server.clone(), 1);
    let journal = harness.open(conformance::roomy()).await;
    let id = conformance::publish(&*journal, conformance::message(conformance::PAID, "1"))
        .await
        .id;
    server.kill();
    assert!(journal.probe().await.is_err());
    server.restart();
    // The user was not in a file: a new one of the same name.
    for rule in ["on", ">secret", "~*", "&*", "+@all"] {
        harness.may(rule);
    }
    while journal.probe().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(journal.message(id).await.unwrap().is_some());
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_ends_on_every_node() {
    let harness = RedisHarness::plain();
    let here = harness.open(conformance::roomy()).await;
    let there = harness.open(conformance::roomy()).await;
    drop(conformance::paid_handler(&*here, "lms.enrol").await);
    let told = here.control("lms.enrol", Control::Pause).await.unwrap();
    assert!(told.is_some());
    let mut stream = conformance::paid_handler(&*there, "lms.enrol").await;
    let waiting = tokio::spawn(async move { conformance::take_one(&mut stream).await });
    conformance::publish(&*here, conformance::message(conformance::PAID, "1")).await;
    here.control("lms.enrol", Control::Resume).await.unwrap();
    let delivery = waiting.await.unwrap();
    conformance::ack(&*there, &delivery).await;
    here.close().await;
    there.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_payload_is_not_a_dropped_one() {
    let harness = RedisHarness::plain();
    let journal = harness.open(conformance::roomy()).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    let empty = conformance::message(conformance::PAID, "");
    let id = conformance::publish(&*journal, empty).await.id;
    let delivery = conformance::take_one(&mut stream).await;
    assert_eq!((delivery.message.id, delivery.message.data.len()), (id, 0));
    conformance::kill(&*journal, &delivery).await;
    let shown = journal.message(id).await.unwrap().unwrap();
    assert!(!shown.record.payload_dropped);
    assert_eq!(
        conformance::replay(&*journal, id, Some("lms.enrol")).await,
        1
    );
    let again = conformance::take_one(&mut stream).await;
    assert_eq!(again.message, delivery.message);
    journal.close().await;
}
