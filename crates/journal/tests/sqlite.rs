//! The embedded engine keeps what every engine promises, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "conformance/suite.rs"]
mod conformance;
#[path = "sqlite/deaths.rs"]
mod deaths;
#[path = "sqlite/harness.rs"]
mod harness;
#[path = "sqlite/upgrade.rs"]
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use conformance::{Ending, Harness, PAID};
use coordinator_journal::sqlite::{OpenError, SqliteJournal};
use coordinator_journal::{DeadLetter, FailureKind, Journal, MessageQuery, Record, WaitingMessage};
use coordinator_message::Envelope;
use harness::SqliteHarness;
use sea_orm::sqlx::{Connection as _, query, query_scalar};

conformance!(SqliteHarness::new());

#[tokio::test]
async fn a_second_open_of_one_directory_is_refused_and_names_the_process() {
    let harness = SqliteHarness::new();
    let first = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap();
    let second = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap_err();
    assert!(
        matches!(&second, OpenError::Locked { pid, .. } if *pid == std::process::id()),
        "{second}"
    );
    first.close().await;
    SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_its_number() {
    let harness = SqliteHarness::new();
    SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = harness.connection().await;
    query("PRAGMA user_version = 99")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let refused = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { found: 99, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_that_somebody_else_locked_refuses_and_goes_on_when_it_is_free() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut other = harness.connection().await;
    query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert!(journal.probe().await.is_err());
    assert!(
        journal
            .publish(vec![conformance::message(conformance::PAID, "1")])
            .await
            .is_err()
    );
    query("ROLLBACK").execute(&mut other).await.unwrap();
    journal.probe().await.unwrap();
    conformance::publish(&*journal, conformance::message(conformance::PAID, "2")).await;
    let stored: i64 = query_scalar("SELECT count(*) FROM message")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_file_is_made_as_its_figures_were_measured() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut other = harness.connection().await;
    let page: i64 = query_scalar("PRAGMA page_size")
        .fetch_one(&mut other)
        .await
        .unwrap();
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!((page, mode.as_str()), (8192, "wal"));
    journal.close().await;
}

#[tokio::test]
async fn a_time_is_found_in_the_log_whatever_was_imported() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let now = harness.clock_now();
    let hours = |hours: u64| now.after(Duration::from_secs(3600 * hours));
    let letter = |message: &Arc<Envelope>| {
        Record::DeadLetter(DeadLetter {
            handler: "lms.enrol".to_owned(),
            message: message.clone(),
            died: now,
            attempts: 1,
            failure: conformance::failure(FailureKind::Refused, "refused"),
        })
    };
    let waiting = |message: &Arc<Envelope>, accepted| {
        Record::Message(WaitingMessage {
            message: message.clone(),
            accepted,
            deliver_at: None,
            deliveries: Vec::new(),
        })
    };
    let messages = ["1", "2", "3", "4"]
        .map(|data| Arc::new(conformance::message(conformance::PAID, data).envelope));
    // The second comes back to where its dead letter is, behind messages that were accepted before it.
    let records = vec![
        waiting(&messages[0], hours(1)),
        letter(&messages[1]),
        waiting(&messages[2], hours(2)),
        waiting(&messages[1], hours(3)),
        waiting(&messages[3], hours(4)),
    ];
    journal.import(records).await.unwrap();
    let list = async |since, until| {
        let query = MessageQuery {
            since,
            until,
            oldest_first: true,
            limit: 10,
            ..MessageQuery::default()
        };
        let page = journal.messages(query).await.unwrap();
        let items = page.items.into_iter();
        items
            .map(|record| (record.message.id, record.accepted))
            .collect::<Vec<_>>()
    };
    let all = list(None, None).await;
    assert_eq!(all.len(), 4);
    for time in (0..6).map(hours) {
        let (before, since): (Vec<_>, Vec<_>) =
            all.iter().partition(|(_, accepted)| *accepted < time);
        assert_eq!(list(Some(time), None).await, since);
        assert_eq!(list(None, Some(time)).await, before);
    }
}

#[tokio::test]
async fn what_expired_beside_an_older_delivery_that_runs_is_not_delivered_after_a_crash() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    conformance::publish_numbers(&*journal, PAID, 3).await;
    let first = conformance::take_one(&mut stream).await;
    harness.clock().advance(2 * conformance::RETENTION);
    journal.maintain().await.unwrap();
    assert_eq!(conformance::dead_letters(&*journal).await.len(), 2);
    // The next write of the cursor remembers it too.
    let new = conformance::publish(&*journal, conformance::message(PAID, "4")).await;
    let last = conformance::take_one(&mut stream).await;
    assert_eq!(last.message.id, new.id);
    conformance::ack(&*journal, &last).await;
    drop(stream);
    let journal = conformance::again(&harness, journal, Ending::Crash).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    let again = conformance::take_one(&mut stream).await;
    assert_eq!(again.message.id, first.message.id);
    conformance::nothing_else_waits(&*journal, &mut stream).await;
    assert_eq!(conformance::dead_letters(&*journal).await.len(), 2);
    journal.close().await;
}
