//! A process that dies with what it ran: it is counted, and in the end one delivery is known to be to blame.

use std::time::Instant;

use super::*;

/// How long a delivery that is due may take, in real time.
const STEP: Duration = Duration::from_millis(50);

/// Takes one while time goes on: what may have killed the process comes a little later.
async fn take_in_time(harness: &dyn Harness, stream: &mut Box<dyn Deliveries>) -> Delivery {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let next = tokio::time::timeout(STEP, stream.next(1)).await;
        if let Ok(next) = next {
            return next.unwrap().remove(0);
        }
        assert!(Instant::now() < deadline, "deliveries should come");
        harness.clock().advance(Duration::from_millis(100));
    }
}

/// How often the process died of each payload, in the order of these.
fn crashes(deliveries: &[Delivery]) -> Vec<(String, u32)> {
    let mut counts: Vec<_> = deliveries
        .iter()
        .map(|one| (data(one), one.crashes))
        .collect();
    counts.sort();
    counts
}

fn counted(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    let counts = expected.iter();
    counts
        .map(|(data, count)| ((*data).to_owned(), *count))
        .collect()
}

pub(crate) async fn what_ran_when_the_process_died_is_counted_and_is_the_same_attempt(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 4).await;
    let out = take(&mut stream, 4).await;
    ack(&*journal, &out[0]).await;
    retry(&*journal, &out[1], harness.clock_now()).await;
    let second = take_one(&mut stream).await;
    assert_eq!((second.attempt, second.crashes), (2, 0));
    // The third failed and waits, the fourth was given back: neither runs.
    retry(&*journal, &out[2], harness.clock_now().after(HOUR)).await;
    release(&*journal, &out[3], Some(harness.clock_now().after(HOUR))).await;
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let second = take_one(&mut stream).await;
    assert_eq!((data(&second).as_str(), second.attempt), ("2", 2));
    assert_eq!(second.crashes, 1);
    harness.clock().advance(HOUR);
    let others = take(&mut stream, 2).await;
    assert_eq!(crashes(&others), counted(&[("3", 0), ("4", 0)]));
}

pub(crate) async fn a_process_that_ends_by_itself_is_no_death(harness: &dyn Harness) {
    let mut journal = harness.open(roomy()).await;
    publish_to(&*journal).await;
    for _ in 0..3 {
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        assert_eq!(take_one(&mut stream).await.crashes, 0);
        drop(stream);
        journal = again(harness, journal, Ending::Close).await;
    }
}

/// One message for the handler that is opened next.
async fn publish_to(journal: &dyn Journal) {
    drop(paid_handler(journal, "lms.enrol").await);
    publish(journal, message(PAID, "1")).await;
}

pub(crate) async fn a_count_of_deaths_outlives_a_process_that_ends_by_itself(
    harness: &dyn Harness,
) {
    let mut journal = harness.open(roomy()).await;
    publish_to(&*journal).await;
    for (ending, crashes) in [
        (Ending::Crash, 0),
        (Ending::Close, 1),
        (Ending::Close, 1),
        (Ending::Crash, 1),
    ] {
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let delivery = take_one(&mut stream).await;
        assert_eq!((delivery.attempt, delivery.crashes), (1, crashes));
        drop(stream);
        journal = again(harness, journal, ending).await;
    }
    // A replay begins anew.
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let delivery = take_in_time(harness, &mut stream).await;
    assert_eq!(delivery.crashes, 2);
    kill(&*journal, &delivery).await;
    replay(&*journal, delivery.message.id, None).await;
    assert_eq!(take_one(&mut stream).await.crashes, 0);
}

pub(crate) async fn of_what_two_processes_died_with_the_third_dies_with_one(harness: &dyn Harness) {
    let mut journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 4).await;
    for death in 0..2 {
        let out = take(&mut stream, 4).await;
        assert!(out.iter().all(|one| one.crashes == death));
        drop(stream);
        journal = again(harness, journal, Ending::Crash).await;
        stream = paid_handler(&*journal, "lms.enrol").await;
    }
    let alone = take_in_time(harness, &mut stream).await;
    assert_eq!(alone.crashes, 2);
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut all = Vec::new();
    for _ in 0..4 {
        let delivery = take_in_time(harness, &mut stream).await;
        ack(&*journal, &delivery).await;
        all.push(delivery);
    }
    let blamed = all.iter().filter(|one| one.crashes == 3);
    let blamed: Vec<_> = blamed.map(|one| one.message.id).collect();
    assert_eq!(blamed, [alone.message.id]);
    assert_eq!(all.iter().filter(|one| one.crashes == 2).count(), 3);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn the_order_of_a_key_holds_whatever_the_process_died_of(harness: &dyn Harness) {
    let mut journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    for (key, text) in [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("a", "3")] {
        publish(&*journal, in_key(PAID, key, text)).await;
    }
    for _ in 0..3 {
        let delivery = take_in_time(harness, &mut stream).await;
        assert_eq!(data(&delivery), "1");
        drop(stream);
        journal = again(harness, journal, Ending::Crash).await;
        stream = ordered_handler(&*journal, "lms.enrol").await;
    }
    let mut came: Vec<(Option<String>, String)> = Vec::new();
    for _ in 0..5 {
        let delivery = take_in_time(harness, &mut stream).await;
        ack(&*journal, &delivery).await;
        came.push((delivery.message.key.clone(), data(&delivery)));
    }
    for (key, expected) in [("a", &["1", "2", "3"][..]), ("b", &["1", "2"])] {
        let of_key = came.iter().filter(|(of, _)| of.as_deref() == Some(key));
        let texts: Vec<_> = of_key.map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, expected);
    }
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn a_suspect_that_hangs_keeps_others_waiting_for_ten_seconds(
    harness: &dyn Harness,
) {
    let mut journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    for _ in 0..2 {
        take(&mut stream, 2).await;
        drop(stream);
        journal = again(harness, journal, Ending::Crash).await;
        stream = paid_handler(&*journal, "lms.enrol").await;
    }
    let first = take_in_time(harness, &mut stream).await;
    for _ in 0..8 {
        let nothing = tokio::time::timeout(STEP, stream.next(1)).await;
        assert!(nothing.is_err(), "{nothing:?}");
        harness.clock().advance(Duration::from_secs(1));
    }
    let second = take_in_time(harness, &mut stream).await;
    assert_eq!((first.crashes, second.crashes), (2, 2));
    ack_all(&*journal, &[first, second]).await;
    nothing_else_waits(&*journal, &mut stream).await;
}
