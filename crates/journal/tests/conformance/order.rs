//! Order: of one key in one lane, one at a time and in log order; everything else flows on.

use coordinator_journal::{HandlerSpec, NewMessage, StartFrom};

use super::*;

/// Takes what there is and tells it without regard to the order between keys.
async fn take_sorted(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = take(stream, count).await;
    taken.sort_by_key(data);
    taken
}

/// A message of this type and key in the lane `orders`.
fn in_lane(name: &str, key: &str, data: &str) -> NewMessage {
    let mut new = in_key(name, key, data);
    new.envelope.lane = "orders".to_owned();
    new
}

pub(crate) async fn a_key_comes_one_at_a_time_in_log_order_beside_others(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "a2", "b2"]).await;
    publish_letters(&*journal, &["a3", "c1"]).await;
    let first = take_sorted(&mut stream, 3).await;
    assert_eq!(texts(&first), ["a1", "b1", "c1"]);
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack(&*journal, &first[1]).await;
    let b2 = take_one(&mut stream).await;
    assert_eq!(data(&b2), "b2");
    ack(&*journal, &first[0]).await;
    let a2 = take_one(&mut stream).await;
    assert_eq!((data(&a2).as_str(), a2.attempt), ("a2", 1));
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack_all(&*journal, &[a2, b2, first[2].clone()]).await;
    let a3 = take_one(&mut stream).await;
    assert_eq!(data(&a3), "a3");
    ack(&*journal, &a3).await;
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 0);
}

pub(crate) async fn a_retrying_head_blocks_only_its_key(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "a2", "b2"]).await;
    let first = take_sorted(&mut stream, 2).await;
    retry(&*journal, &first[0], harness.clock_now().after(HOUR)).await;
    ack(&*journal, &first[1]).await;
    let b2 = take_one(&mut stream).await;
    assert_eq!(data(&b2), "b2");
    ack(&*journal, &b2).await;
    publish_letters(&*journal, &["a3", "c1"]).await;
    let c1 = take_one(&mut stream).await;
    assert_eq!(data(&c1), "c1");
    ack(&*journal, &c1).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    for (expected, attempt) in [("a1", 2), ("a2", 1), ("a3", 1)] {
        let next = take_one(&mut stream).await;
        assert_eq!((data(&next).as_str(), next.attempt), (expected, attempt));
        ack(&*journal, &next).await;
    }
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn the_next_of_a_key_comes_when_its_head_is_dead(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "a2"]).await;
    kill(&*journal, &take_one(&mut stream).await).await;
    let next = take_one(&mut stream).await;
    assert_eq!(data(&next), "a2");
    ack(&*journal, &next).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    assert_eq!(journal.stats().await.unwrap().dead, 1);
}

pub(crate) async fn a_head_and_what_follows_it_may_be_settled_in_one_batch(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "a2", "b2", "a3", "b3"]).await;
    for number in 1..=3 {
        let pair = take_sorted(&mut stream, 2).await;
        assert_eq!(texts(&pair), [format!("a{number}"), format!("b{number}")]);
        ack_all(&*journal, &pair).await;
    }
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn messages_without_a_key_flow(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 3).await;
    let all = take(&mut stream, 3).await;
    assert_eq!(texts(&all), ["1", "2", "3"]);
    retry(&*journal, &all[0], harness.clock_now().after(HOUR)).await;
    publish(&*journal, message(PAID, "4")).await;
    assert_eq!(data(&take_one(&mut stream).await), "4");
}

pub(crate) async fn types_of_one_lane_keep_their_order_together(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let spec = HandlerSpec {
        order: true,
        ..spec("lms.enrol", &[PAID, ENROLLED], StartFrom::Now).in_lanes(&["orders"])
    };
    let mut stream = journal.open(spec).await.unwrap();
    let batch = vec![
        in_lane(PAID, "a", "1"),
        in_lane(ENROLLED, "a", "2"),
        in_lane(PAID, "a", "3"),
    ];
    journal.publish(batch).await.unwrap();
    let first = take_one(&mut stream).await;
    assert_eq!(data(&first), "1");
    retry(&*journal, &first, harness.clock_now().after(HOUR)).await;
    publish(&*journal, in_lane(ENROLLED, "b", "other")).await;
    let other = take_one(&mut stream).await;
    assert_eq!(data(&other), "other");
    ack(&*journal, &other).await;
    harness.clock().advance(HOUR);
    for expected in ["1", "2", "3"] {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
}

pub(crate) async fn the_same_key_in_two_lanes_is_two_keys(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let spec = HandlerSpec {
        order: true,
        ..spec("lms.enrol", &[PAID, ENROLLED], StartFrom::Now)
    };
    let mut stream = journal.open(spec).await.unwrap();
    let batch = ["1", "3"].map(|data| in_key(PAID, "a", data));
    journal.publish(batch.into()).await.unwrap();
    let batch = ["2", "4"].map(|data| in_key(ENROLLED, "a", data));
    journal.publish(batch.into()).await.unwrap();
    let both = take_sorted(&mut stream, 2).await;
    assert_eq!(texts(&both), ["1", "2"]);
    ack(&*journal, &both[1]).await;
    assert_eq!(data(&take_one(&mut stream).await), "4");
}

pub(crate) async fn keys_are_told_apart_in_full(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let long = "k".repeat(300);
    let mut keys: Vec<String> = ["a", "A", "a ", " a", "a:b", "a\u{0}b", "ä", "a\u{308}", ""]
        .map(str::to_owned)
        .into();
    keys.extend([format!("{long}1"), format!("{long}2"), long]);
    keys.extend((0..500).map(|number| format!("order-{number}")));
    for round in ["first", "second"] {
        let batch = keys.iter().map(|key| in_key(PAID, key, round));
        journal.publish(batch.collect()).await.unwrap();
    }
    let first = take(&mut stream, keys.len()).await;
    assert!(first.iter().all(|delivery| data(delivery) == "first"));
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack_all(&*journal, &first).await;
    let second = take(&mut stream, keys.len()).await;
    assert!(second.iter().all(|delivery| data(delivery) == "second"));
}

pub(crate) async fn a_replay_of_what_was_settled_neither_waits_nor_holds(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let ids = publish_letters(&*journal, &["a1", "a2", "a3", "a4"]).await;
    ack(&*journal, &take_one(&mut stream).await).await;
    let a2 = take_one(&mut stream).await;
    assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 1);
    let replayed = take_one(&mut stream).await;
    assert_eq!((data(&replayed).as_str(), replayed.replay), ("a1", 1));
    ack(&*journal, &a2).await;
    let a3 = take_one(&mut stream).await;
    assert_eq!(data(&a3), "a3");
    retry(&*journal, &replayed, harness.clock_now().after(HOUR)).await;
    ack(&*journal, &a3).await;
    let a4 = take_one(&mut stream).await;
    assert_eq!(data(&a4), "a4");
    harness.clock().advance(HOUR);
    let replayed = take_one(&mut stream).await;
    assert_eq!((data(&replayed).as_str(), replayed.attempt), ("a1", 2));
    kill(&*journal, &replayed).await;
    ack(&*journal, &a4).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn one_handler_keeps_order_and_another_does_not(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut ordered = ordered_handler(&*journal, "lms.enrol").await;
    let mut free = paid_handler(&*journal, "audit.note").await;
    publish_letters(&*journal, &["a1", "a2", "a3"]).await;
    let all = take(&mut free, 3).await;
    assert_eq!(texts(&all), ["a1", "a2", "a3"]);
    let head = take_one(&mut ordered).await;
    retry(&*journal, &head, harness.clock_now().after(HOUR)).await;
    kill(&*journal, &all[0]).await;
    ack(&*journal, &all[2]).await;
    retry(&*journal, &all[1], harness.clock_now()).await;
    let again = take_one(&mut free).await;
    assert_eq!((data(&again).as_str(), again.attempt), ("a2", 2));
    ack(&*journal, &again).await;
    assert_eq!(handler_stats(&*journal, "audit.note").await.lag, 0);
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 3);
    harness.clock().advance(HOUR);
    for expected in ["a1", "a2", "a3"] {
        let next = take_one(&mut ordered).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
}

pub(crate) async fn what_one_ack_emits_keeps_its_order(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let spec = HandlerSpec {
        order: true,
        ..spec("mail.send", &[ENROLLED], StartFrom::Now)
    };
    let mut mail = journal.open(spec).await.unwrap();
    publish_numbers(&*journal, PAID, 2).await;
    for (round, delivery) in take(&mut lms, 2).await.iter().enumerate() {
        let emits = (0..3).map(|index| {
            let mut new = emit(delivery, index, ENROLLED, &format!("{round}.{index}"));
            new.envelope.key = Some("a".to_owned());
            new
        });
        let emits = emits.collect();
        settled(&*journal, delivery, Verdict::Ack { emits }).await;
    }
    for expected in ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"] {
        let next = take_one(&mut mail).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
}
