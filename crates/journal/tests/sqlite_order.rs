//! Order per key in the embedded engine: what is held in memory, what becomes a row, and how the one becomes the other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "sqlite_order/house.rs"]
mod house;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use coordinator_journal::sqlite::SqliteJournal;
use coordinator_journal::{
    Clock as _, Delivery, HandlerSpec, Journal, ManualClock, NewMessage, Replay, Replayed, Settle,
    Verdict,
};
use coordinator_message::Timestamp;
use house::{House, MINUTE, PAID, PLACED, failure, journal, message, number};
use tempfile::TempDir;

fn one_key(count: usize) -> impl Iterator<Item = NewMessage> {
    (1..=count).map(|number| message(PLACED, Some("o-1"), number))
}

#[tokio::test]
async fn a_key_comes_in_log_order_over_types_and_others_flow_on() {
    let mut house = House::new(true).await;
    house
        .publish([
            message(PLACED, Some("o-1"), 1),
            message(PAID, Some("o-1"), 2),
            message(PLACED, Some("o-2"), 3),
            message(PLACED, None, 4),
            message(PAID, None, 5),
            message(PAID, Some("o-1"), 6),
        ])
        .await;
    let first = house.take(4).await;
    assert_eq!(first.iter().map(number).collect::<Vec<_>>(), [1, 3, 4, 5]);
    assert_eq!(
        (house.stats().await.parked, house.stats().await.lag),
        (2, 6)
    );
    house.ack(&first[0]).await;
    let second = house.take(1).await.remove(0);
    assert_eq!(number(&second), 2);
    let due = house.clock.now().after(MINUTE);
    let failed = Verdict::Retry {
        due,
        failure: failure(),
    };
    house.settle(&second, failed).await;
    for delivery in &first[1..] {
        house.ack(delivery).await;
    }
    assert_eq!(house.stats().await.parked, 1);
    house.clock.advance(MINUTE);
    assert_eq!(house.drain().await, [2, 6]);
}

#[tokio::test]
async fn a_given_up_head_holds_its_key_over_a_restart_until_it_is_replayed() {
    let mut house = House::new(true).await;
    let ids = house.publish(one_key(3)).await;
    let head = house.take(1).await.remove(0);
    house
        .settle(&head, Verdict::Park { failure: failure() })
        .await;
    assert_eq!(house.stats().await.dead, 0);
    let mut house = house.restart(true).await;
    house.publish([message(PLACED, Some("o-2"), 4)]).await;
    let other = house.take(1).await.remove(0);
    assert_eq!(number(&other), 4);
    house.ack(&other).await;
    assert_eq!(
        (house.stats().await.parked, house.stats().await.lag),
        (3, 3)
    );
    let replay = Replay {
        message: ids[0],
        handler: None,
        due: None,
    };
    let answers = house.journal.replay(vec![replay]).await.unwrap();
    assert_eq!(answers, [Replayed::Scheduled(1)]);
    let again = house.take(1).await.remove(0);
    assert_eq!((number(&again), again.attempt, again.replay), (1, 1, 1));
    house.ack(&again).await;
    assert_eq!(house.drain().await, [2, 3]);
}

#[tokio::test]
async fn a_given_up_key_takes_what_waits_and_no_more() {
    let mut house = House::new(true).await;
    house.publish(one_key(3000)).await;
    // Some have become rows, some are held, and some were not looked at.
    let head = house.take(1).await.remove(0);
    house.publish([message(PLACED, Some("o-2"), 0)]).await;
    house
        .settle(&head, Verdict::DeadKey { failure: failure() })
        .await;
    let stats = house.stats().await;
    assert_eq!((stats.dead, stats.lag, stats.parked), (3000, 1, 0));
    house.publish([message(PLACED, Some("o-1"), 3001)]).await;
    assert_eq!(house.drain().await, [0, 3001]);
    let house = house.restart(true).await;
    assert_eq!(
        (house.stats().await.dead, house.stats().await.lag),
        (3000, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_behind_one_key_do_not_stop_the_others_and_come_in_order() {
    let mut house = House::new(true).await;
    house.publish(one_key(10_000)).await;
    house.publish([message(PLACED, Some("o-2"), 0)]).await;
    let head = house.take(1).await.remove(0);
    let other = house.take(1).await.remove(0);
    assert_eq!((number(&head), number(&other)), (1, 0));
    house.ack(&other).await;
    let mut house = house.restart(true).await;
    assert_eq!(house.stats().await.lag, 10_000);
    for expected in 1..=2500 {
        let next = house.take(1).await.remove(0);
        assert_eq!(number(&next), expected);
        house.ack(&next).await;
    }
}

#[tokio::test]
async fn what_was_ordered_is_not_lost_when_it_is_no_longer_nor_the_other_way_round() {
    let mut house = House::new(true).await;
    house.publish(one_key(4)).await;
    let head = house.take(1).await.remove(0);
    house
        .settle(&head, Verdict::Park { failure: failure() })
        .await;
    let mut house = house.restart(false).await;
    let all = house.take(4).await;
    assert_eq!(
        all.iter().map(number).collect::<HashSet<_>>(),
        (1..=4).collect()
    );
    for delivery in &all[..2] {
        house.settle(delivery, Verdict::Release { due: None }).await;
    }
    let mut house = house.restart(true).await;
    let first = house.take(1).await;
    assert_eq!(house.stats().await.running, 1, "one at a time again");
    house.ack(&first[0]).await;
    assert_eq!(house.drain().await.len(), 3);
}

#[tokio::test]
async fn without_order_or_key_nothing_is_parked() {
    let mut house = House::new(true).await;
    house
        .publish([message(PLACED, None, 1), message(PLACED, None, 2)])
        .await;
    let both = house.take(2).await;
    house
        .settle(&both[0], Verdict::Park { failure: failure() })
        .await;
    house
        .settle(&both[1], Verdict::DeadKey { failure: failure() })
        .await;
    assert_eq!((house.stats().await.dead, house.stats().await.lag), (2, 0));
}

#[tokio::test]
async fn a_replay_of_what_was_settled_neither_waits_nor_holds() {
    let mut house = House::new(true).await;
    let ids = house.publish(one_key(2)).await;
    let first = house.take(1).await.remove(0);
    house.ack(&first).await;
    let head = house.take(1).await.remove(0);
    let replay = Replay {
        message: ids[0],
        handler: None,
        due: None,
    };
    house.journal.replay(vec![replay]).await.unwrap();
    let again = house.take(1).await.remove(0);
    assert_eq!((number(&again), again.replay), (1, 1));
    house.ack(&head).await;
    house.publish(one_key(1)).await;
    let next = house.take(1).await.remove(0);
    assert_eq!(
        (number(&next), next.replay),
        (1, 0),
        "while the replay runs"
    );
}

/// The next of a sequence that looks random and is the same in every run.
fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    usize::try_from(*seed >> 33).unwrap()
}

/// What became of a delivery.
enum End {
    /// Nothing yet.
    Kept,
    /// It comes again.
    Later,
    Settled,
}

impl House {
    /// Ends a delivery in one of eight ways.
    async fn end_somehow(&self, delivery: &Delivery, way: usize) -> End {
        let due = self.clock.now().after(MINUTE);
        let failure = failure();
        let (verdict, end) = match way {
            0 => return End::Kept,
            1 => (Verdict::Retry { due, failure }, End::Later),
            2 => (Verdict::Release { due: None }, End::Later),
            3 => (Verdict::Park { failure }, End::Later),
            4 => (Verdict::Dead { failure }, End::Settled),
            _ => (Verdict::Ack { emits: Vec::new() }, End::Settled),
        };
        self.settle(delivery, verdict).await;
        end
    }
}

/// Whatever becomes of the deliveries, and however often it restarts: of each key they begin in log order, each one only
/// once the one before it is settled, and each is settled in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_whatever_happens() {
    let mut house = House::new(true).await;
    let mut seed = 7;
    let mut settled: HashMap<String, Vec<usize>> = HashMap::new();
    let mut out: Vec<Delivery> = Vec::new();
    let mut published = 0;
    for _ in 0..30 {
        let batch: Vec<_> = (0..random(&mut seed) % 120)
            .map(|_| {
                published += 1;
                let key = format!("o-{}", random(&mut seed) % 12);
                message(PLACED, Some(&key), published)
            })
            .collect();
        house.publish(batch).await;
        while let Ok(next) = tokio::time::timeout(MINUTE / 6000, house.stream.next(7)).await {
            for delivery in next.unwrap() {
                let same = |other: &Delivery| other.message.key == delivery.message.key;
                assert!(!out.iter().any(same), "two of one key at once");
                out.push(delivery);
            }
        }
        for delivery in std::mem::take(&mut out) {
            match house.end_somehow(&delivery, random(&mut seed) % 8).await {
                End::Kept => out.push(delivery),
                End::Later => {}
                End::Settled => {
                    let key = delivery.message.key.clone().unwrap();
                    settled.entry(key).or_default().push(number(&delivery));
                }
            }
        }
        house.clock.advance(MINUTE / 2);
        if random(&mut seed).is_multiple_of(6) {
            out.clear();
            house = house.restart(true).await;
        }
        house.replay_parked().await;
    }
    for numbers in settled.values() {
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    drop(out);
    house = house.restart(true).await;
    house.clock.advance(MINUTE * 10);
    house.replay_parked().await;
    let rest = house.drain().await;
    let done: usize = settled.values().map(Vec::len).sum();
    assert_eq!(done + rest.len(), published);
}

/// Takes what comes, checks that nothing is left out or comes twice, and acks it; until `count` have come.
async fn follow(journal: Arc<SqliteJournal>, id: &'static str, most: usize, count: usize) {
    let types = vec![PLACED.parse().unwrap()];
    let mut stream = journal.open(HandlerSpec::new(id, types)).await.unwrap();
    let mut last = 0;
    while last < count {
        let next = tokio::time::timeout(MINUTE, stream.next(most));
        let deliveries = next.await.expect("messages should come").unwrap();
        for delivery in &deliveries {
            assert_eq!(number(delivery), last + 1, "for {id}");
            last += 1;
        }
        let acks = deliveries.into_iter().map(|delivery| Settle {
            token: delivery.token,
            verdict: Verdict::Ack { emits: Vec::new() },
        });
        journal.settle(acks.collect()).await.unwrap();
    }
}

/// The slow one falls behind what is kept in memory for it, reads the log, and catches up, several times over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_handler_gets_every_message_once_in_order_however_slow_it_is() {
    const BURST: usize = 6000;
    const BURSTS: usize = 3;
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::now()));
    let journal = Arc::new(journal(&dir, &clock).await);
    // Known before the first message: both start now.
    for id in ["audit.fast", "audit.slow"] {
        let types = vec![PLACED.parse().unwrap()];
        journal.open(HandlerSpec::new(id, types)).await.unwrap();
    }
    let fast = tokio::spawn(follow(journal.clone(), "audit.fast", 256, BURST * BURSTS));
    let mut slow = None;
    for burst in 0..BURSTS {
        for chunk in (1..=BURST).collect::<Vec<_>>().chunks(150) {
            let messages = chunk
                .iter()
                .map(|number| message(PLACED, None, burst * BURST + number));
            journal.publish(messages.collect()).await.unwrap();
        }
        // It begins when more waits for it than is kept in memory.
        slow.get_or_insert_with(|| {
            tokio::spawn(follow(journal.clone(), "audit.slow", 40, BURST * BURSTS))
        });
    }
    fast.await.unwrap();
    slow.unwrap().await.unwrap();
}
