//! A transfer that is repeated, large, or of a journal that knows more than what waits.

use coordinator_journal::{DeliveryState, ReceiptStatus};

use super::transfer::{exported, moved};
use super::*;

pub(crate) async fn a_duplicate_is_still_a_duplicate(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let acked = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    ack(&*journal, &take_one(&mut stream).await).await;
    let waiting = publish(&*journal, keyed(PAID, "2", "evt_2")).await;
    drop(stream);
    harness.clock().advance(HOUR);
    let (target, journal) = moved(harness, journal).await;
    use ReceiptStatus::{Conflict, Duplicate};
    for (data, key, id, status) in [
        ("1", "evt_1", acked.id, Duplicate),
        ("other", "evt_1", acked.id, Conflict),
        ("2", "evt_2", waiting.id, Duplicate),
    ] {
        let receipt = publish(&*journal, keyed(PAID, data, key)).await;
        assert_eq!((receipt.id, receipt.status), (id, status), "{data}");
    }
    // Its window began when the key was used, not when it was moved.
    target.clock().advance(RETENTION - HOUR);
    let again = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    assert_eq!(again.status, ReceiptStatus::Accepted);
}

pub(crate) async fn a_repeated_import_changes_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "c1", "a2", "b2", "c2"]).await;
    let at = harness.clock_now().after(HOUR);
    publish(&*journal, later(PAID, "later", at)).await;
    publish(&*journal, keyed(PAID, "key", "evt_1")).await;
    let mut heads = take(&mut stream, 4).await;
    heads.sort_by_key(data);
    retry(&*journal, &heads[0], at).await;
    park(&*journal, &heads[1]).await;
    kill(&*journal, &heads[2]).await;
    drop(stream);
    let journal = again(harness, journal, Ending::Close).await;
    let records = exported(&*journal).await;
    journal.close().await;
    let target = harness.another().await;
    let journal = target.open(roomy()).await;
    // Broken off in the middle, then from the start, then once more.
    journal
        .import(records[..records.len() / 2].to_vec())
        .await
        .unwrap();
    for _ in 0..2 {
        for record in &records {
            journal.import(vec![record.clone()]).await.unwrap();
        }
    }
    let check = async |journal: &dyn Journal, lag: u64| {
        let stats = journal.stats().await.unwrap();
        let handler = &stats.handlers[0];
        assert_eq!((stats.dead, stats.delayed, handler.lag), (1, 1, lag));
        assert_eq!((handler.running, handler.dead), (0, 1));
    };
    check(&*journal, 6).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let mut free = take(&mut stream, 2).await;
    free.sort_by_key(data);
    assert_eq!(texts(&free), ["c2", "key"]);
    ack_all(&*journal, &free).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    // Settled meanwhile: it does not come back either.
    drop(stream);
    let journal = again(&*target, journal, Ending::Close).await;
    journal.import(records).await.unwrap();
    check(&*journal, 4).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn more_than_a_page_is_moved_in_order(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 1300).await;
    ack_all(&*journal, &take(&mut stream, 100).await).await;
    drop(stream);
    let (target, journal) = moved(harness, journal).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut came = Vec::new();
    while came.len() < 1200 {
        let deliveries = take(&mut stream, 100).await;
        ack_all(&*journal, &deliveries).await;
        came.extend(texts(&deliveries));
        if came.len() == 600 {
            drop(stream);
            let opened = again(&*target, journal, Ending::Crash).await;
            return finish(&*opened, came).await;
        }
    }
}

/// The rest of [`more_than_a_page_is_moved_in_order`], in the journal that was opened again.
async fn finish(journal: &dyn Journal, mut came: Vec<String>) {
    let mut stream = paid_handler(journal, "lms.enrol").await;
    let rest = take(&mut stream, 600).await;
    came.extend(texts(&rest));
    ack_all(journal, &rest).await;
    let expected: Vec<_> = (101..=1300).map(|number| number.to_string()).collect();
    assert_eq!(came, expected);
    nothing_else_waits(journal, &mut stream).await;
}

pub(crate) async fn a_replay_that_waits_is_moved_with_its_number(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    ack(&*journal, &take_one(&mut stream).await).await;
    replay(&*journal, id, None).await;
    let first = take_one(&mut stream).await;
    retry(&*journal, &first, harness.clock_now()).await;
    drop(stream);
    let (_target, journal) = moved(harness, journal).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let again = take_one(&mut stream).await;
    assert_eq!((again.message.id, again.attempt, again.replay), (id, 2, 1));
    ack(&*journal, &again).await;
    let shown = delivery(&*journal, id, "lms.enrol").await;
    assert_eq!((shown.state, shown.replay), (DeliveryState::Acked, 1));
    // What it emits from now on has ids of its own.
    replay(&*journal, id, None).await;
    assert_eq!(take_one(&mut stream).await.replay, 2);
}
