//! Order is durable, and holds under load.

use std::collections::{HashMap, HashSet};

use super::*;

pub(crate) async fn blocked_keys_are_known_before_anything_is_handed_out_again(
    harness: &dyn Harness,
) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        publish_letters(&*journal, &["a1", "b1", "a2", "b2", "c1", "a3"]).await;
        let mut heads = take(&mut stream, 3).await;
        heads.sort_by_key(data);
        // `a` waits for its retry, `b` is running, `c` is done.
        retry(&*journal, &heads[0], harness.clock_now().after(HOUR)).await;
        ack(&*journal, &heads[2]).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let b1 = take_one(&mut stream).await;
        assert_eq!((data(&b1).as_str(), b1.attempt), ("b1", 1), "{ending:?}");
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        ack(&*journal, &b1).await;
        let b2 = take_one(&mut stream).await;
        assert_eq!(data(&b2), "b2");
        ack(&*journal, &b2).await;
        harness.clock().advance(HOUR);
        for (expected, attempt) in [("a1", 2), ("a2", 1), ("a3", 1)] {
            let next = take_one(&mut stream).await;
            assert_eq!((data(&next).as_str(), next.attempt), (expected, attempt));
            ack(&*journal, &next).await;
        }
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn a_follower_that_was_freed_holds_its_key_after_a_restart(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        publish_letters(&*journal, &["a1", "a2", "a3"]).await;
        let head = take_one(&mut stream).await;
        retry(&*journal, &head, harness.clock_now()).await;
        let head = take_one(&mut stream).await;
        ack(&*journal, &head).await;
        // The next is free now, and nobody has taken it.
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let a2 = take_one(&mut stream).await;
        assert_eq!(data(&a2), "a2", "{ending:?}");
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        for expected in ["a2", "a3"] {
            let next = take_one(&mut stream).await;
            assert_eq!(data(&next), expected, "{ending:?}");
            ack(&*journal, &next).await;
        }
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn thousands_behind_one_key_do_not_stop_the_others(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a0"]).await;
    let head = take_one(&mut stream).await;
    retry(&*journal, &head, harness.clock_now().after(HOUR)).await;
    for chunk in 0..10 {
        let behind = (1..=500).map(|number| lettered(&format!("a{}", chunk * 500 + number)));
        journal.publish(behind.collect()).await.unwrap();
        let other = publish_letters(&*journal, &["b"]).await[0];
        let next = take_one(&mut stream).await;
        assert_eq!(next.message.id, other, "`{}` came", data(&next));
        ack(&*journal, &next).await;
    }
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 5001);
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    for number in 0..20 {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), format!("a{number}"));
        ack(&*journal, &next).await;
    }
    let next = take_one(&mut stream).await;
    assert_eq!(data(&next), "a20");
    dead_key(&*journal, &next).await;
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.lag, stats.dead, stats.parked), (0, 4981, 0));
    publish_letters(&*journal, &["a-new"]).await;
    assert_eq!(data(&take_one(&mut stream).await), "a-new");
}

pub(crate) async fn a_handler_that_keeps_order_no_longer_loses_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "a2", "b2"]).await;
    let mut heads = take(&mut stream, 2).await;
    heads.sort_by_key(data);
    retry(&*journal, &heads[0], harness.clock_now().after(HOUR)).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    drop(stream);
    let journal = again(harness, journal, Ending::Close).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut free = texts(&take(&mut stream, 3).await);
    free.sort();
    assert_eq!(free, ["a2", "b1", "b2"]);
    harness.clock().advance(HOUR);
    let retried = take_one(&mut stream).await;
    assert_eq!((data(&retried).as_str(), retried.attempt), ("a1", 2));
}

pub(crate) async fn a_handler_that_keeps_order_from_now_on_keeps_it_for_what_waits(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "a2", "a3"]).await;
    let now = harness.clock_now();
    for (delivery, hours) in take(&mut stream, 2).await.iter().zip([2, 1]) {
        retry(&*journal, delivery, now.after(HOUR * hours)).await;
    }
    drop(stream);
    let journal = again(harness, journal, Ending::Close).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    harness.clock().advance(HOUR * 2);
    for expected in ["a1", "a2", "a3"] {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

pub(crate) async fn every_key_keeps_its_order_whatever_becomes_of_its_messages(
    harness: &dyn Harness,
) {
    const KEYS: usize = 20;
    const EACH: usize = 40;
    let journal: Arc<dyn Journal> = harness.open(roomy()).await.into();
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let publishing = journal.clone();
    let publisher = tokio::spawn(async move {
        for number in 0..EACH {
            let batch = (0..KEYS).map(|key| in_key(PAID, &format!("k{key}"), &number.to_string()));
            publishing.publish(batch.collect()).await.unwrap();
        }
    });
    let mut dice = Dice(7);
    let mut next_of: HashMap<String, usize> = HashMap::new();
    let mut out: Vec<Delivery> = Vec::new();
    let mut left = KEYS * EACH;
    while left > 0 {
        // A key with nothing left, or with a message out, has nothing to give.
        let unfinished = KEYS - next_of.values().filter(|next| **next == EACH).count();
        if out.len() < unfinished && (out.is_empty() || dice.roll(2) == 0) {
            out.extend(next(&mut stream, 1 + dice.roll(8) as usize).await);
            let keys: HashSet<_> = out.iter().map(|one| one.message.key.clone()).collect();
            assert_eq!(keys.len(), out.len(), "two of one key at once");
            continue;
        }
        let mut batch = Vec::new();
        while !out.is_empty() && batch.len() < 4 {
            let delivery = out.swap_remove(dice.roll(out.len() as u64) as usize);
            let place = next_of
                .entry(delivery.message.key.clone().unwrap())
                .or_default();
            assert_eq!(data(&delivery), place.to_string(), "out of order");
            let verdict = verdict(dice.roll(10), harness.clock_now());
            if matches!(verdict, Verdict::Ack { .. } | Verdict::Dead { .. }) {
                *place += 1;
                left -= 1;
            }
            let token = delivery.token;
            batch.push(Settle { token, verdict });
        }
        let outcomes = journal.settle(batch).await.unwrap();
        assert!(outcomes.iter().all(|one| *one == SettleOutcome::Settled));
    }
    publisher.await.unwrap();
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 0);
}

/// Mostly done; sometimes again, given back, or dead.
fn verdict(rolled: u64, due: Timestamp) -> Verdict {
    let failure = failure(FailureKind::Retry, "busy");
    match rolled {
        0 | 1 => Verdict::Retry { due, failure },
        2 => Verdict::Release { due: None },
        3 => Verdict::Dead { failure },
        _ => Verdict::Ack { emits: Vec::new() },
    }
}

pub(crate) async fn an_order_that_is_asked_for_while_the_journal_is_open_is_kept_from_then_on(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    for text in ["1", "2"] {
        publish(&*journal, in_key(PAID, "a", text)).await;
    }
    let out = take(&mut stream, 2).await;
    ack_all(&*journal, &out).await;
    drop(stream);
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    for text in ["3", "4", "5"] {
        publish(&*journal, in_key(PAID, "a", text)).await;
    }
    for text in ["3", "4", "5"] {
        let delivery = take_one(&mut stream).await;
        assert_eq!(data(&delivery), text);
        ack(&*journal, &delivery).await;
    }
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}
