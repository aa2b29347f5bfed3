//! Several nodes on one Redis server: fencing, taking over, and what a crash leaves in an outbox.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other test files use the rest of it")]
#[path = "redis/server.rs"]
mod server;
#[path = "redis_nodes/trouble.rs"]
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::redis::{RedisJournal, RedisOptions};
use coordinator_journal::{
    Deliveries, Delivery, Durability, Failure, FailureKind, HandlerSpec, Journal, Limits,
    ManualClock, NewMessage, ReceiptStatus, Settle, SettleOutcome, Tick, Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use server::{Server, Settings};

const PAID: &str = "org.openedx.payment.received.v1";
const ENROLLED: &str = "org.openedx.enrolment.created.v1";
/// For a hung test, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and the clock of all nodes on it.
struct Place {
    server: Server,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new(settings: Settings) -> Self {
        Self {
            server: Server::start(settings),
            clock: Arc::new(ManualClock::new(Timestamp::now())),
        }
    }

    fn options(&self) -> RedisOptions {
        RedisOptions {
            url: self.server.url(),
            prefix: "coordinator".to_owned(),
            partitions: 1,
            durability: Durability::Strict,
            asserted: false,
            limits: Limits::default(),
            clock: self.clock.clone(),
            node_timeout: Duration::from_millis(500),
            much: RedisOptions::MUCH,
        }
    }

    async fn node(&self) -> RedisJournal {
        RedisJournal::open(self.options()).await.unwrap()
    }

    /// Ends the heartbeats of every node, as if none had been heard of for long.
    fn end_heartbeats(&self) {
        for lane in [PAID, ENROLLED] {
            let pattern = format!("{{coordinator/{lane}/0}}:n:*");
            let found = self.server.command(&["KEYS", &pattern]);
            for key in found.lines().filter(|line| line.starts_with('{')) {
                self.server.command(&["DEL", key.trim()]);
            }
        }
    }
}

fn ty(name: &str) -> MessageType {
    name.parse().unwrap()
}

fn message(name: &str, data: &str) -> NewMessage {
    let now = Timestamp::now();
    let data = data.to_owned().into();
    NewMessage {
        envelope: Envelope::new(MessageId::new(now), ty(name), "/plugins/stripe", now, data),
        publisher: "plugin/stripe".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

fn in_key(name: &str, key: &str, data: &str) -> NewMessage {
    let mut new = message(name, data);
    new.envelope.key = Some(key.to_owned());
    new
}

async fn open(node: &RedisJournal, id: &str, name: &str, order: bool) -> Box<dyn Deliveries> {
    let spec = HandlerSpec {
        order,
        ..HandlerSpec::new(id, vec![ty(name)])
    };
    node.open(spec).await.unwrap()
}

async fn take(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(PATIENCE, stream.next(count - taken.len()));
        taken.extend(next.await.expect("deliveries should come").unwrap());
    }
    taken
}

async fn take_one(stream: &mut Box<dyn Deliveries>) -> Delivery {
    take(stream, 1).await.remove(0)
}

async fn settle(node: &RedisJournal, delivery: &Delivery, verdict: Verdict) -> SettleOutcome {
    let settle = Settle {
        token: delivery.token.clone(),
        verdict,
    };
    node.settle(vec![settle]).await.unwrap()[0]
}

async fn ack(node: &RedisJournal, delivery: &Delivery) -> SettleOutcome {
    settle(node, delivery, Verdict::Ack { emits: Vec::new() }).await
}

fn data(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.data.to_vec()).unwrap()
}

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(data).collect()
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Retry,
        chain: vec!["LMS answered 503".to_owned()],
        started: Timestamp::from_millis(1),
        ran_ms: 7,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_not_heard_of_settles_nothing_and_another_takes_over() {
    for order in [false, true] {
        let place = Place::new(Settings::default());
        let (first, second) = (place.node().await, place.node().await);
        let mut stream = open(&first, "lms.enrol", PAID, order).await;
        first
            .publish(vec![in_key(PAID, "a", "1"), in_key(PAID, "b", "2")])
            .await
            .unwrap();
        let mut held = take(&mut stream, 2).await;
        held.sort_by_key(data);
        let verdict = Verdict::Retry {
            due: Timestamp::from_millis(0),
            failure: failure(),
        };
        assert_eq!(
            settle(&first, &held[1], verdict).await,
            SettleOutcome::Settled
        );
        let retried = take_one(&mut stream).await;
        place.end_heartbeats();
        let emits = vec![message(ENROLLED, "ghost")];
        assert_eq!(
            settle(&first, &held[0], Verdict::Ack { emits }).await,
            SettleOutcome::Stale
        );
        assert_eq!(ack(&first, &retried).await, SettleOutcome::Stale);
        drop(stream);
        let mut stream = open(&second, "lms.enrol", PAID, order).await;
        let mut taken = take(&mut stream, 2).await;
        taken.sort_by_key(data);
        assert_eq!(texts(&taken), ["1", "2"]);
        let counts: Vec<_> = taken.iter().map(|one| (one.attempt, one.crashes)).collect();
        assert_eq!(counts, [(1, 1), (2, 1)]);
        for delivery in &taken {
            assert_eq!(ack(&second, delivery).await, SettleOutcome::Settled);
        }
        first.close().await;
        second.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_is_taken_over_by_one_that_waits() {
    let place = Place::new(Settings::default());
    let (first, second) = (place.node().await, place.node().await);
    let mut streams = [
        open(&first, "lms.enrol", PAID, false).await,
        open(&second, "lms.enrol", PAID, false).await,
    ];
    first.publish(vec![message(PAID, "1")]).await.unwrap();
    let [one, other] = &mut streams;
    let (by_first, held) = tokio::select! {
        taken = take_one(one) => (true, taken),
        taken = take_one(other) => (false, taken),
    };
    assert_eq!(held.attempt, 1);
    // Dropped, not closed: nothing is given back, and its heartbeat ends by itself.
    let [one, other] = streams;
    let (dead, alive, mut stream) = if by_first {
        (first, second, other)
    } else {
        (second, first, one)
    };
    drop(dead);
    let again = take_one(&mut stream).await;
    assert_eq!((again.attempt, again.crashes), (1, 1));
    assert_eq!(ack(&alive, &again).await, SettleOutcome::Settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_the_deliveries_of_a_handler_and_keep_the_order_of_a_key() {
    let place = Place::new(Settings::default());
    let (first, second) = (place.node().await, place.node().await);
    let mut one = open(&first, "lms.enrol", PAID, true).await;
    let mut other = open(&second, "lms.enrol", PAID, true).await;
    let numbers = 1..=40;
    for number in numbers.clone() {
        let batch = ["a", "b"].map(|key| in_key(PAID, key, &format!("{key}{number:02}")));
        first.publish(batch.into()).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 80 {
        let (node, delivery) = tokio::select! {
            taken = one.next(1) => (&first, taken.unwrap()),
            taken = other.next(1) => (&second, taken.unwrap()),
        };
        for one in &delivery {
            seen.push(data(one));
            assert_eq!(ack(node, one).await, SettleOutcome::Settled);
        }
    }
    for key in ["a", "b"] {
        let of_key: Vec<_> = seen
            .iter()
            .filter(|one| one.starts_with(key))
            .cloned()
            .collect();
        let expected: Vec<_> = numbers
            .clone()
            .map(|number| format!("{key}{number:02}"))
            .collect();
        assert_eq!(of_key, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_one_node_reaches_a_handler_on_another() {
    let place = Place::new(Settings::default());
    let (first, second) = (place.node().await, place.node().await);
    let mut stream = open(&second, "lms.enrol", PAID, false).await;
    let waiting = tokio::spawn(async move { take_one(&mut stream).await });
    first.publish(vec![message(PAID, "1")]).await.unwrap();
    let delivery = waiting.await.unwrap();
    assert_eq!(ack(&second, &delivery).await, SettleOutcome::Settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outbox_holds_after_a_crash_is_moved_once_by_anybody() {
    for cluster in [false, true] {
        let place = Place::new(Settings {
            cluster,
            ..Settings::default()
        });
        let node = place.node().await;
        let mut mail = open(&node, "mail.send", ENROLLED, false).await;
        let mut lms = open(&node, "lms.enrol", PAID, false).await;
        node.publish(vec![message(PAID, "1")]).await.unwrap();
        let delivery = take_one(&mut lms).await;
        let mut emit = message(ENROLLED, "2");
        emit.envelope.id = delivery.emit_id(0);
        let verdict = Verdict::Ack {
            emits: vec![emit.clone()],
        };
        assert_eq!(
            settle(&node, &delivery, verdict).await,
            SettleOutcome::Settled
        );
        let emitted = take_one(&mut mail).await;
        assert_eq!(data(&emitted), "2");
        assert_eq!(ack(&node, &emitted).await, SettleOutcome::Settled);
        // As if the mover had died after publishing and before deleting: the id makes it a duplicate.
        let again = node.publish(vec![emit]).await.unwrap();
        assert_eq!(again[0].status, ReceiptStatus::Duplicate);
        let tick = Tick {
            schedule: "nightly".to_owned(),
            at: Timestamp::from_millis(1),
            message: Some(message(ENROLLED, "3")),
        };
        assert!(node.tick(tick.clone()).await.unwrap());
        assert!(!node.tick(tick).await.unwrap());
        assert_eq!(data(&take_one(&mut mail).await), "3");
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_after_the_server_was_away() {
    let place = Place::new(Settings::default());
    let node = place.node().await;
    let mut stream = open(&node, "lms.enrol", PAID, false).await;
    node.publish(vec![message(PAID, "1"), message(PAID, "2")])
        .await
        .unwrap();
    let held = take_one(&mut stream).await;
    place.server.kill();
    assert!(node.publish(vec![message(PAID, "lost")]).await.is_err());
    let settle = |delivery: &Delivery| Settle {
        token: delivery.token.clone(),
        verdict: Verdict::Ack { emits: Vec::new() },
    };
    assert!(node.settle(vec![settle(&held)]).await.is_err());
    place.server.restart();
    let deadline = std::time::Instant::now() + PATIENCE;
    while node.publish(vec![message(PAID, "3")]).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "it stays away");
        tokio::task::yield_now().await;
    }
    // What was handed out is settled, or is handed out again if its heartbeat was lost with the time.
    let settled = node.settle(vec![settle(&held)]).await.unwrap()[0];
    let left = if settled == SettleOutcome::Settled {
        2
    } else {
        3
    };
    let rest = take(&mut stream, left).await;
    assert_eq!(data(rest.last().unwrap()), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_many_partitions_all_arrive_each_in_order() {
    for cluster in [false, true] {
        let place = Place::new(Settings {
            cluster,
            ..Settings::default()
        });
        let options = RedisOptions {
            partitions: 4,
            ..place.options()
        };
        let node = RedisJournal::open(options).await.unwrap();
        let mut stream = open(&node, "lms.enrol", PAID, true).await;
        let keys: Vec<String> = (0..20).map(|number| format!("order-{number}")).collect();
        for round in ["1", "2", "3"] {
            let batch = keys.iter().map(|key| in_key(PAID, key, round)).collect();
            let receipts = node.publish(batch).await.unwrap();
            let accepted =
                |receipt: &coordinator_journal::Receipt| receipt.status == ReceiptStatus::Accepted;
            assert!(receipts.iter().all(accepted), "{receipts:?}");
        }
        for round in ["1", "2", "3"] {
            let taken = take(&mut stream, keys.len()).await;
            assert!(taken.iter().all(|one| data(one) == round));
            for delivery in &taken {
                assert_eq!(ack(&node, delivery).await, SettleOutcome::Settled);
            }
        }
        node.close().await;
    }
}
