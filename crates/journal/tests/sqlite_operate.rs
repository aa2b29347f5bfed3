//! What operators do, in the embedded engine's own limits: many at once, bounded looks, payloads that are gone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Clock as _, Control, Deliveries, Delivery, Discard, Durability, Failure, FailureKind,
    HandlerSpec, Journal, Limits, ManualClock, MessageQuery, NewMessage, Payloads, PublishError,
    Record, Settle, SettleOutcome, StartFrom, Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query_scalar};
use tempfile::TempDir;

const PLACED: &str = "org.example.order.placed.v1";
const PAID: &str = "org.example.order.paid.v1";
const MINUTE: Duration = Duration::from_secs(60);

/// A journal in a directory of its own.
struct House {
    dir: TempDir,
    clock: Arc<ManualClock>,
    journal: SqliteJournal,
}

impl House {
    async fn new(limits: Limits) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let options = SqliteOptions {
            dir: dir.path().to_owned(),
            durability: Durability::Relaxed,
            limits,
            clock: clock.clone(),
        };
        let journal = SqliteJournal::open(options).await.unwrap();
        Self {
            dir,
            clock,
            journal,
        }
    }

    async fn handler(&self, id: &str, ty: &str, from: StartFrom) -> Box<dyn Deliveries> {
        let spec = HandlerSpec {
            from,
            ..HandlerSpec::new(id, vec![ty.parse().unwrap()])
        };
        self.journal.open(spec).await.unwrap()
    }

    /// Publishes messages with these payloads and answers their ids.
    async fn publish(&self, ty: &str, texts: impl Iterator<Item = String>) -> Vec<MessageId> {
        let batch = texts.map(|text| message(ty, &text)).collect();
        let receipts = self.journal.publish(batch).await.unwrap();
        receipts.iter().map(|receipt| receipt.id).collect()
    }

    async fn settle(&self, deliveries: &[Delivery], verdict: Verdict) {
        let settles = deliveries.iter().map(|delivery| Settle {
            token: delivery.token.clone(),
            verdict: verdict.clone(),
        });
        let outcomes = self.journal.settle(settles.collect()).await.unwrap();
        assert!(outcomes.iter().all(|one| *one == SettleOutcome::Settled));
    }

    async fn ack(&self, deliveries: &[Delivery]) {
        self.settle(deliveries, Verdict::Ack { emits: Vec::new() })
            .await;
    }

    /// A number from the database, as an operator's own tool would read it.
    async fn count(&self, sql: &'static str) -> i64 {
        let options = SqliteConnectOptions::new().filename(self.dir.path().join("journal.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// The payloads of one page, and where to go on.
    async fn page(&self, query: MessageQuery) -> (Vec<String>, Option<String>) {
        let page = self.journal.messages(query).await.unwrap();
        let texts = page.items.iter();
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        (
            texts.map(|record| text(&record.message.data)).collect(),
            page.next,
        )
    }
}

fn message(ty: &str, text: &str) -> NewMessage {
    let now = Timestamp::now();
    let (id, data) = (MessageId::new(now), text.to_owned().into());
    NewMessage {
        envelope: Envelope::new(id, ty.parse().unwrap(), "/test", now, data),
        publisher: "plugin/test".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

fn numbers(range: std::ops::RangeInclusive<usize>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.message.data).unwrap()
}

/// Exactly `count`. The limit of its patience is for a hung test.
async fn take(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(MINUTE, stream.next(count - taken.len()));
        taken.extend(next.await.expect("deliveries should come").unwrap());
    }
    taken
}

#[tokio::test]
async fn a_skip_of_many_writes_rows_only_for_what_is_handed_out() {
    let house = House::new(Limits::default()).await;
    let mut stream = house.handler("lms.enrol", PLACED, StartFrom::Now).await;
    house.publish(PLACED, numbers(1..=12_000)).await;
    let out = take(&mut stream, 3).await;
    let skipped = house.journal.control("lms.enrol", Control::Skip).await;
    assert_eq!(skipped.unwrap(), Some(11_997));
    assert_eq!(house.count("SELECT count(*) FROM exception").await, 3);
    assert_eq!(house.count("SELECT length(done) FROM handler").await, 0);
    house.publish(PLACED, ["new".to_owned()].into_iter()).await;
    assert_eq!(text(&take(&mut stream, 1).await[0]), "new");
    house.ack(&out).await;
    assert_eq!(house.count("SELECT count(*) FROM exception").await, 0);
}

#[tokio::test]
async fn thousands_discarded_before_their_turn_do_not_stop_the_rest() {
    let house = House::new(Limits::default()).await;
    let mut stream = house.handler("lms.enrol", PLACED, StartFrom::Now).await;
    let ids = house.publish(PLACED, numbers(1..=6000)).await;
    let discards = ids[100..].iter().map(|id| Discard {
        message: *id,
        handler: None,
    });
    let answers = house.journal.discard(discards.collect()).await.unwrap();
    assert_eq!(answers, vec![1; 5900]);
    house.publish(PLACED, ["new".to_owned()].into_iter()).await;
    let mut left = take(&mut stream, 101).await;
    assert_eq!(text(&left.pop().unwrap()), "new");
    house.ack(&left).await;
    assert_eq!(house.journal.stats().await.unwrap().handlers[0].lag, 1);
}

#[tokio::test]
async fn delayed_messages_are_bounded_as_the_backlog_is() {
    let house = House::new(Limits {
        max_backlog: 2,
        ..Limits::default()
    })
    .await;
    let later = |text: &str| NewMessage {
        deliver_at: Some(house.clock.now().after(MINUTE)),
        ..message(PLACED, text)
    };
    let batch = vec![later("1"), later("2")];
    house.journal.publish(batch).await.unwrap();
    let refused = house.journal.publish(vec![later("3")]).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Full { what, .. } if what.contains("2 are delayed")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_follower_goes_on_behind_what_it_looked_at_even_if_nothing_matched() {
    let house = House::new(Limits::default()).await;
    house.publish(PLACED, numbers(1..=5)).await;
    for (name, mut query) in [
        ("source", MessageQuery::default()),
        ("type", MessageQuery::default()),
    ] {
        let mut new = message(PLACED, name);
        if name == "source" {
            new.envelope.source = "/rare".to_owned();
            query.source = Some("/rare".to_owned());
        } else {
            // Not seen before: no row has its number.
            new.envelope.ty = PAID.parse().unwrap();
            query.ty = Some(PAID.parse().unwrap());
        }
        query.oldest_first = true;
        let (items, next) = house.page(query.clone()).await;
        assert!(items.is_empty(), "{name}: {items:?}");
        query.cursor = Some(next.unwrap());
        house.journal.publish(vec![new]).await.unwrap();
        let (items, next) = house.page(query.clone()).await;
        assert_eq!(items, [name]);
        query.cursor = next;
        assert!(house.page(query).await.0.is_empty(), "{name} again");
    }
}

#[tokio::test]
async fn a_search_looks_at_a_bounded_stretch_and_says_where_to_go_on() {
    let house = House::new(Limits::default()).await;
    house
        .publish(PLACED, ["needle".to_owned()].into_iter())
        .await;
    house.publish(PLACED, numbers(1..=10_500)).await;
    let mut query = MessageQuery {
        text: Some("eedl".to_owned()),
        limit: 10,
        ..MessageQuery::default()
    };
    let (items, next) = house.page(query.clone()).await;
    assert!(items.is_empty() && next.is_some());
    query.cursor = next;
    assert_eq!(house.page(query).await, (vec!["needle".to_owned()], None));
}

#[tokio::test]
async fn a_new_handler_from_the_earliest_is_given_only_what_has_its_payload() {
    let house = House::new(Limits {
        payloads: Payloads::UntilSettled,
        ..Limits::default()
    })
    .await;
    let mut lms = house.handler("lms.enrol", PLACED, StartFrom::Now).await;
    house.publish(PLACED, numbers(1..=4)).await;
    let out = take(&mut lms, 4).await;
    let failure = Failure {
        kind: FailureKind::Retry,
        chain: vec!["LMS answered 503".to_owned()],
        started: house.clock.now(),
        ran_ms: 1,
    };
    let due = house.clock.now().after(MINUTE);
    house
        .settle(&out[1..2], Verdict::Retry { due, failure })
        .await;
    house.ack(&out[..1]).await;
    house.ack(&out[2..3]).await;
    house.journal.maintain().await.unwrap();
    assert_eq!(house.count("SELECT sum(dropped) FROM message").await, 2);
    let mut audit = house
        .handler("audit.note", PLACED, StartFrom::Earliest)
        .await;
    let mut came = take(&mut audit, 2).await;
    came.sort_by_key(|delivery| text(delivery).to_owned());
    assert_eq!((text(&came[0]), text(&came[1])), ("2", "4"));
    house.ack(&came).await;
    assert_eq!(house.journal.stats().await.unwrap().handlers[1].lag, 0);
    // Once the last has settled it, the rest goes too.
    house.clock.advance(MINUTE);
    house.ack(&take(&mut lms, 1).await).await;
    house.ack(&out[3..]).await;
    house.journal.maintain().await.unwrap();
    assert_eq!(house.count("SELECT sum(dropped) FROM message").await, 4);
}

#[tokio::test]
async fn a_slow_handler_keeps_messages_of_its_own_types_only() {
    let house = House::new(Limits {
        retention_size: 1,
        ..Limits::default()
    })
    .await;
    let _slow = house.handler("lms.enrol", PLACED, StartFrom::Now).await;
    let mut fast = house.handler("audit.note", PAID, StartFrom::Now).await;
    house.publish(PLACED, numbers(1..=5)).await;
    house.publish(PAID, numbers(6..=10)).await;
    house.ack(&take(&mut fast, 5).await).await;
    house.journal.maintain().await.unwrap();
    let (mut left, _) = house
        .page(MessageQuery {
            limit: 100,
            ..MessageQuery::default()
        })
        .await;
    left.sort();
    assert_eq!(left, ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn nothing_is_imported_while_a_handler_is_open() {
    let house = House::new(Limits::default()).await;
    let _stream = house.handler("lms.enrol", PLACED, StartFrom::Now).await;
    let at = house.clock.now();
    let record = Record::Schedule {
        name: "billing.nightly".to_owned(),
        at,
    };
    assert!(house.journal.import(vec![record]).await.is_err());
    let ticked = house.journal.last_tick("billing.nightly").await.unwrap();
    assert_eq!(ticked, None);
}

#[tokio::test]
async fn a_handler_of_a_thousand_types_is_given_what_is_in_the_log_in_order() {
    let house = House::new(Limits::default()).await;
    let types: Vec<String> = (0..1_000)
        .map(|number| format!("org.example.kind-{number}.v1"))
        .collect();
    // The newest type first, so that no order of types is that of the log.
    let batch: Vec<_> = types.iter().rev().map(|ty| message(ty, ty)).collect();
    house.journal.publish(batch).await.unwrap();
    let spec = HandlerSpec {
        from: StartFrom::Earliest,
        ..HandlerSpec::new(
            "audit.note",
            types.iter().map(|ty| ty.parse().unwrap()).collect(),
        )
    };
    let mut stream = house.journal.open(spec).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < types.len() {
        let taken = stream.next(1_000).await.unwrap();
        seen.extend(taken.iter().map(|one| one.message.ty.to_string()));
    }
    seen.reverse();
    assert_eq!(seen, types);
}
