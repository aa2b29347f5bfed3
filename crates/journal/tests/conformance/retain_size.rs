//! Retention by size, and payloads that are not kept.

use coordinator_journal::{MessageQuery, MessageRecord, Payloads};

use super::*;

const BIG: usize = 50_000;

/// A payload that begins with its number.
fn big(number: usize) -> String {
    format!("{number:04}{}", "x".repeat(BIG))
}

/// What is still there, oldest first.
async fn records(journal: &dyn Journal) -> Vec<MessageRecord> {
    let query = MessageQuery {
        limit: 500,
        ..MessageQuery::default()
    };
    let mut items = journal.messages(query).await.unwrap().items;
    items.reverse();
    items
}

/// The numbers of what is still there, oldest first.
async fn numbers(journal: &dyn Journal) -> Vec<usize> {
    let number = |record: &MessageRecord| {
        let digits = std::str::from_utf8(&record.message.data[..4]).unwrap();
        digits.parse().unwrap()
    };
    records(journal).await.iter().map(number).collect()
}

/// Publishes 40 big messages, an hour of age in all; answers what they weigh.
async fn publish_big(harness: &dyn Harness, journal: &dyn Journal) -> u64 {
    for number in 0..40 {
        publish(journal, message(PAID, &big(number))).await;
        harness.clock().advance(HOUR / 40);
    }
    journal.stats().await.unwrap().size
}

/// Opens the journal again with bounds of `size`.
async fn with_size(
    harness: &dyn Harness,
    journal: Box<dyn Journal>,
    retention_size: u64,
) -> Box<dyn Journal> {
    journal.close().await;
    harness
        .open(Limits {
            retention_size,
            ..roomy()
        })
        .await
}

pub(crate) async fn the_oldest_settled_go_when_there_is_too_much(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let size = publish_big(harness, &*journal).await;
    ack_all(&*journal, &take(&mut stream, 40).await).await;
    journal.maintain().await.unwrap();
    assert_eq!(numbers(&*journal).await.len(), 40);
    drop(stream);
    let journal = with_size(harness, journal, size / 2).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    journal.maintain().await.unwrap();
    let left = numbers(&*journal).await;
    assert!((2..=30).contains(&left.len()), "{left:?}");
    assert_eq!(left, (40 - left.len()..40).collect::<Vec<_>>());
    let after = journal.stats().await.unwrap().size;
    assert!(after <= size / 2, "{after} of {size}");
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn what_some_handler_has_not_settled_stays_whatever_it_weighs(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut fast = paid_handler(&*journal, "lms.enrol").await;
    let mut slow = paid_handler(&*journal, "audit.note").await;
    let size = publish_big(harness, &*journal).await;
    ack_all(&*journal, &take(&mut fast, 40).await).await;
    let taken = take(&mut slow, 30).await;
    // The slow handler has settled some in the middle, and one waits for its retry.
    ack_all(&*journal, &taken[10..]).await;
    retry(&*journal, &taken[0], harness.clock_now().after(HOUR)).await;
    drop((fast, slow));
    let journal = with_size(harness, journal, size / 4).await;
    let mut slow = paid_handler(&*journal, "audit.note").await;
    let _fast = paid_handler(&*journal, "lms.enrol").await;
    for _ in 0..2 {
        journal.maintain().await.unwrap();
    }
    let left = numbers(&*journal).await;
    for number in (0..10).chain(30..40) {
        assert!(left.contains(&number), "{number} of {left:?}");
    }
    assert_eq!(journal.stats().await.unwrap().dead, 0);
    harness.clock().advance(HOUR);
    let mut rest: Vec<_> = take(&mut slow, 20).await.iter().map(data).collect();
    rest.sort();
    let expected: Vec<_> = (0..10).chain(30..40).map(big).collect();
    assert!(rest == expected);
}

pub(crate) async fn what_went_by_size_is_still_a_duplicate(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let first = publish(&*journal, keyed(PAID, &big(0), "evt_1")).await;
    publish_big(harness, &*journal).await;
    ack_all(&*journal, &take(&mut stream, 41).await).await;
    drop(stream);
    let journal = with_size(harness, journal, 1).await;
    journal.maintain().await.unwrap();
    assert!(journal.message(first.id).await.unwrap().is_none());
    let again = publish(&*journal, keyed(PAID, &big(0), "evt_1")).await;
    assert_eq!(
        (again.id, again.status),
        (first.id, coordinator_journal::ReceiptStatus::Duplicate)
    );
}

/// Bounds of a journal that drops payloads.
fn until_settled() -> Limits {
    Limits {
        payloads: Payloads::UntilSettled,
        ..roomy()
    }
}

pub(crate) async fn payloads_are_dropped_once_everybody_has_settled(harness: &dyn Harness) {
    let journal = harness.open(until_settled()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let ids = publish_numbers(&*journal, PAID, 4).await;
    publish(&*journal, message(ENROLLED, "unhandled")).await;
    ack_all(&*journal, &take(&mut audit, 4).await).await;
    let out = take(&mut lms, 4).await;
    ack(&*journal, &out[0]).await;
    kill(&*journal, &out[1]).await;
    retry(&*journal, &out[2], harness.clock_now().after(HOUR)).await;
    // A little later, as it would be called.
    harness.clock().advance(Duration::from_secs(60));
    journal.maintain().await.unwrap();
    let dropped = |record: &MessageRecord| {
        assert_eq!(record.payload_dropped, record.message.data.is_empty());
        record.payload_dropped
    };
    let shown: Vec<_> = records(&*journal).await.iter().map(dropped).collect();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [false, false, false, true, true], "{shown:?}");
    for (id, expected) in ids.iter().zip([true, true, false, false]) {
        let detail = journal.message(*id).await.unwrap().unwrap();
        assert_eq!(dropped(&detail.record), expected);
        assert_eq!(detail.deliveries.len(), 2);
    }
    let replays = [ids[0], ids[2], ids[3]].map(|message| Replay {
        message,
        handler: Some("audit.note".to_owned()),
        due: None,
    });
    let answers = journal.replay(replays.into()).await.unwrap();
    let one = Replayed::Scheduled(1);
    assert_eq!(answers, [Replayed::PayloadDropped, one, one]);
    // The dead letter has kept its own copy.
    assert_eq!(replay(&*journal, ids[1], Some("lms.enrol")).await, 1);
    let again = take_one(&mut lms).await;
    assert_eq!((again.message.id, data(&again).as_str()), (ids[1], "2"));
    harness.clock().advance(HOUR);
    assert_eq!(data(&take_one(&mut lms).await), "3");
    let mut replayed = texts(&take(&mut audit, 2).await);
    replayed.sort();
    assert_eq!(replayed, ["3", "4"]);
}

pub(crate) async fn payloads_that_are_dropped_stay_dropped_and_no_others(harness: &dyn Harness) {
    let journal = harness.open(until_settled()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 2).await;
    ack(&*journal, &take_one(&mut stream).await).await;
    harness.clock().advance(Duration::from_secs(60));
    journal.maintain().await.unwrap();
    drop(stream);
    harness.crash(journal).await;
    let journal = harness.open(until_settled()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let second = take_one(&mut stream).await;
    assert_eq!((second.message.id, data(&second).as_str()), (ids[1], "2"));
    let detail = journal.message(ids[0]).await.unwrap().unwrap();
    assert!(detail.record.payload_dropped);
    ack(&*journal, &second).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn what_is_parked_is_not_lost_by_the_retention(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "a2", "a3"]).await;
    park(&*journal, &take_one(&mut stream).await).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    harness.clock().advance(RETENTION * 2);
    for _ in 0..2 {
        journal.maintain().await.unwrap();
    }
    // Still waiting, or a dead letter: but somewhere an operator finds it.
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!(stats.lag + stats.dead, 3, "{stats:?}");
}
