//! Retention: what is old and settled goes; nothing else is lost.

use coordinator_journal::{DeadLetterQuery, MessageQuery};

use super::*;

async fn remaining(journal: &dyn Journal) -> usize {
    let query = MessageQuery {
        limit: 500,
        ..MessageQuery::default()
    };
    let listed = journal.messages(query).await.unwrap().items.len();
    assert_eq!(journal.stats().await.unwrap().messages, listed as u64);
    listed
}

pub(crate) async fn settled_messages_go_and_unsettled_stay(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    journal
        .publish(vec![
            message(PAID, "1"),
            message(ENROLLED, "2"),
            message(PAID, "3"),
        ])
        .await
        .unwrap();
    let deliveries = take(&mut stream, 2).await;
    ack(&*journal, &deliveries[0]).await;
    harness.clock().advance(HOUR);
    publish(&*journal, message(ENROLLED, "4")).await;
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 4);
    // The third is still being worked on: it stays, however old it is.
    harness.clock().advance(RETENTION - HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 2);
    ack(&*journal, &deliveries[1]).await;
    harness.clock().advance(HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 0);
    assert_eq!(journal.stats().await.unwrap().dead, 0);
}

pub(crate) async fn positions_are_not_used_again(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 3).await;
    let mut last = 0;
    for delivery in take(&mut stream, 3).await {
        last = delivery.token.position;
        ack(&*journal, &delivery).await;
    }
    harness.clock().advance(RETENTION + HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 0);
    journal.close().await;
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "4")).await;
    let delivery = take_one(&mut stream).await;
    assert!(
        delivery.token.position > last,
        "{} came after {last}",
        delivery.token.position
    );
}

pub(crate) async fn expired_unhandled_messages_become_dead_letters(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 3).await;
    harness.clock().advance(RETENTION + HOUR);
    publish(&*journal, message(PAID, "4")).await;
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 1);
    let letters = journal
        .dead_letters(DeadLetterQuery {
            limit: 10,
            ..Default::default()
        })
        .await
        .unwrap()
        .items;
    assert_eq!(letters.len(), 3);
    assert!(
        letters
            .iter()
            .all(|letter| letter.failure.kind == FailureKind::Expired && letter.attempts == 0)
    );
    assert_eq!(data(&take_one(&mut stream).await), "4");
    assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 1);
    let again = take_one(&mut stream).await;
    assert_eq!((again.message.id, data(&again).as_str()), (ids[0], "1"));
}

pub(crate) async fn a_message_with_a_waiting_retry_is_not_deleted(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    let deliveries = take(&mut stream, 2).await;
    retry(
        &*journal,
        &deliveries[0],
        harness.clock_now().after(RETENTION * 3),
    )
    .await;
    ack(&*journal, &deliveries[1]).await;
    harness.clock().advance(RETENTION * 2);
    journal.maintain().await.unwrap();
    assert_eq!(remaining(&*journal).await, 1);
    harness.clock().advance(RETENTION);
    assert_eq!(data(&take_one(&mut stream).await), "1");
}

pub(crate) async fn a_handler_that_left_the_wiring_is_kept_for_one_retention(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut gone = paid_handler(&*journal, "old.enrol").await;
    let mut stays = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 3).await;
    for delivery in take(&mut stays, 3).await {
        ack(&*journal, &delivery).await;
    }
    let deliveries = take(&mut gone, 2).await;
    ack(&*journal, &deliveries[0]).await;
    retry(&*journal, &deliveries[1], harness.clock_now()).await;
    journal.close().await;

    let journal = harness.open(roomy()).await;
    let _stays = paid_handler(&*journal, "lms.enrol").await;
    harness.clock().advance(RETENTION - HOUR);
    journal.maintain().await.unwrap();
    let stats = journal.stats().await.unwrap();
    let old = stats
        .handlers
        .iter()
        .find(|handler| handler.handler == "old.enrol")
        .unwrap();
    assert_eq!((old.lag, old.open, stats.dead), (2, false, 0));
    harness.clock().advance(HOUR * 2);
    journal.maintain().await.unwrap();
    let letters = journal
        .dead_letters(DeadLetterQuery {
            limit: 10,
            ..Default::default()
        })
        .await
        .unwrap()
        .items;
    let mut dead: Vec<_> = letters
        .iter()
        .map(|letter| (letter.attempts, letter.failure.chain[0].as_str()))
        .collect();
    dead.sort_unstable();
    assert_eq!(dead, [(0, "handler removed"), (1, "handler removed")]);
    assert_eq!(remaining(&*journal).await, 0);
    // Forgotten together with its last dead letter.
    harness.clock().advance(RETENTION + HOUR);
    journal.maintain().await.unwrap();
    journal.maintain().await.unwrap();
    let handlers = journal.stats().await.unwrap().handlers;
    assert_eq!(
        handlers
            .iter()
            .map(|handler| handler.handler.as_str())
            .collect::<Vec<_>>(),
        ["lms.enrol"]
    );
}

pub(crate) async fn dead_letters_and_attempts_expire(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    kill(&*journal, &take_one(&mut stream).await).await;
    harness.clock().advance(RETENTION - HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(
        journal.message(id).await.unwrap().unwrap().deliveries[0]
            .attempts
            .len(),
        1
    );
    harness.clock().advance(HOUR * 2);
    journal.maintain().await.unwrap();
    assert_eq!(journal.stats().await.unwrap().dead, 0);
    assert!(journal.message(id).await.unwrap().is_none());
}

pub(crate) async fn a_failed_retention_loses_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    harness.clock().advance(RETENTION + HOUR);
    harness.break_writes().await;
    assert!(journal.maintain().await.is_err());
    harness.mend_writes().await;
    assert_eq!(texts(&take(&mut stream, 2).await), ["1", "2"]);
    assert_eq!(remaining(&*journal).await, 2);
}
