//! Accepting messages: all or nothing, once per key, within bounds.

use coordinator_journal::{Limits, NewMessage, PublishError, ReceiptStatus, StartFrom};

use super::*;

pub(crate) async fn a_published_message_is_delivered_with_all_its_attributes(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let spec = spec("lms.enrol", &[PAID], StartFrom::Now).in_lanes(&["orders", PAID]);
    let mut stream = journal.open(spec).await.unwrap();
    let mut new = message(PAID, r#"{"order": 7, "note": "Grüße"}"#);
    new.envelope.subject = Some("EDX-7".to_owned());
    new.envelope.key = Some("order-7".to_owned());
    new.envelope.lane = "orders".to_owned();
    new.envelope.cause = Some(MessageId::new(Timestamp::now()));
    new.envelope.correlation = MessageId::new(Timestamp::now());
    new.envelope.trace = Some(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap(),
    );
    let receipt = publish(&*journal, new.clone()).await;
    assert_eq!(
        (receipt.status, receipt.durability),
        (ReceiptStatus::Accepted, STRICT)
    );
    let delivery = take_one(&mut stream).await;
    assert_eq!(*delivery.message, new.envelope);
    assert_eq!(
        (delivery.attempt, delivery.crashes, delivery.replay),
        (1, 0, 0)
    );
    assert_eq!(&*delivery.token.handler, "lms.enrol");
    ack(&*journal, &delivery).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_duplicate_names_the_first_and_another_payload_is_a_conflict(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let first = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    let again = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    let other = publish(&*journal, keyed(PAID, "2", "evt_1")).await;
    assert_eq!(
        (again.id, again.status),
        (first.id, ReceiptStatus::Duplicate)
    );
    assert_eq!(
        (other.id, other.status),
        (first.id, ReceiptStatus::Conflict)
    );
    // The id of a message is its own as well.
    let same_id = message(PAID, "3");
    publish(&*journal, same_id.clone()).await;
    assert_eq!(
        publish(&*journal, same_id).await.status,
        ReceiptStatus::Duplicate
    );
    let deliveries = take(&mut stream, 2).await;
    assert_eq!(texts(&deliveries), ["1", "3"]);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn the_scope_of_a_key_is_publisher_and_type(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let batch = vec![
        keyed(PAID, "1", "evt_1"),
        keyed(ENROLLED, "1", "evt_1"),
        NewMessage {
            publisher: "key/orders".to_owned(),
            ..keyed(PAID, "1", "evt_1")
        },
    ];
    let receipts = journal.publish(batch).await.unwrap();
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.status == ReceiptStatus::Accepted),
        "{receipts:?}"
    );
}

pub(crate) async fn duplicates_inside_one_batch_are_one_message(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let twice = message(PAID, "4");
    let batch = vec![
        keyed(PAID, "1", "evt_1"),
        keyed(PAID, "1", "evt_1"),
        keyed(PAID, "2", "evt_1"),
        twice.clone(),
        twice,
        message(PAID, "5"),
    ];
    let receipts = journal.publish(batch).await.unwrap();
    let statuses: Vec<_> = receipts.iter().map(|receipt| receipt.status).collect();
    use ReceiptStatus::{Accepted, Conflict, Duplicate};
    assert_eq!(
        statuses,
        [Accepted, Duplicate, Conflict, Accepted, Duplicate, Accepted]
    );
    assert_eq!(receipts[0].id, receipts[1].id);
    assert_eq!(texts(&take(&mut stream, 3).await), ["1", "4", "5"]);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn ten_concurrent_copies_are_one_message(harness: &dyn Harness) {
    let journal: Arc<dyn Journal> = harness.open(roomy()).await.into();
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let copies: Vec<_> = (0..10)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { publish(&*journal, keyed(PAID, "1", "evt_1")).await })
        })
        .collect();
    let mut receipts = Vec::new();
    for copy in copies {
        receipts.push(copy.await.unwrap());
    }
    let accepted = receipts
        .iter()
        .filter(|receipt| receipt.status == ReceiptStatus::Accepted);
    assert_eq!(accepted.count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.id == receipts[0].id));
    assert_eq!(data(&take_one(&mut stream).await), "1");
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_key_is_forgotten_after_the_retention(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let first = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    harness.clock().advance(RETENTION - HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(
        publish(&*journal, keyed(PAID, "1", "evt_1")).await.id,
        first.id
    );
    harness.clock().advance(HOUR);
    assert_eq!(
        publish(&*journal, keyed(PAID, "2", "evt_1")).await.status,
        ReceiptStatus::Accepted
    );
    harness.clock().advance(RETENTION);
    journal.maintain().await.unwrap();
    assert_eq!(
        publish(&*journal, keyed(PAID, "3", "evt_1")).await.status,
        ReceiptStatus::Accepted
    );
}

pub(crate) async fn a_key_survives_a_restart(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let first = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    journal.close().await;
    let journal = harness.open(roomy()).await;
    let again = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    assert_eq!(
        (again.id, again.status),
        (first.id, ReceiptStatus::Duplicate)
    );
}

pub(crate) async fn a_full_backlog_refuses_and_goes_on_by_itself(harness: &dyn Harness) {
    let journal = harness
        .open(Limits {
            max_backlog: 3,
            ..roomy()
        })
        .await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    let batch = vec![message(PAID, "3"), message(PAID, "4")];
    let refused = journal.publish(batch).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Full { what, .. } if what.contains("lms.enrol")),
        "{refused}"
    );
    publish(&*journal, message(PAID, "5")).await;
    let deliveries = take(&mut stream, 3).await;
    assert_eq!(texts(&deliveries), ["1", "2", "5"]);
    assert!(journal.publish(vec![message(PAID, "6")]).await.is_err());
    ack(&*journal, &deliveries[0]).await;
    publish(&*journal, message(PAID, "7")).await;
    assert_eq!(data(&take_one(&mut stream).await), "7");
}

pub(crate) async fn a_full_journal_refuses_and_goes_on_after_retention(harness: &dyn Harness) {
    let journal = harness
        .open(Limits {
            max_size: 2 << 20,
            ..roomy()
        })
        .await;
    let mut stream = journal
        .open(spec("lms.enrol", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    let big = format!("\"{}\"", "x".repeat(50_000));
    let mut accepted = 0;
    let refused = loop {
        match journal.publish(vec![message(PAID, &big)]).await {
            Ok(_) => accepted += 1,
            Err(refused) => break refused,
        }
        assert!(accepted < 100, "2 MiB hold no 100 messages of 50 kB");
    };
    assert!(
        matches!(&refused, PublishError::Full { retry_after, .. } if !retry_after.is_zero()),
        "{refused}"
    );
    assert_eq!(journal.stats().await.unwrap().messages, accepted);
    // A batch that is refused leaves nothing behind.
    assert!(
        journal
            .publish(vec![message(ENROLLED, "1"), message(ENROLLED, "2")])
            .await
            .is_err()
    );
    harness.clock().advance(RETENTION + HOUR);
    journal.maintain().await.unwrap();
    publish(&*journal, message(ENROLLED, "3")).await;
    assert_eq!(data(&take_one(&mut stream).await), "3");
}

pub(crate) async fn what_cannot_be_written_is_refused_whole_and_goes_on_by_itself(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    harness.break_writes().await;
    let batch = vec![
        keyed(PAID, "2", "evt_2"),
        message("org.openedx.never.seen.v1", "3"),
    ];
    let refused = journal.publish(batch).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Unavailable { .. }),
        "{refused}"
    );
    harness.mend_writes().await;
    assert_eq!(
        publish(&*journal, keyed(PAID, "2", "evt_2")).await.status,
        ReceiptStatus::Accepted
    );
    publish(&*journal, message("org.openedx.never.seen.v1", "3")).await;
    assert_eq!(texts(&take(&mut stream, 2).await), ["1", "2"]);
    assert_eq!(journal.stats().await.unwrap().messages, 3);
}
