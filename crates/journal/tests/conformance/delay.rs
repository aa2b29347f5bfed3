//! Delayed messages: durable at once, delivered at their time and not before.

use coordinator_journal::{
    HandlerSpec, MessageQuery, MessageState, NewMessage, ReceiptStatus, StartFrom,
};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn a_delayed_message_comes_at_its_time_and_not_before(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = harness.clock_now().after(Duration::from_secs(2));
    let receipt = publish(&*journal, later(PAID, "1", at)).await;
    assert_eq!(
        (receipt.status, receipt.durability),
        (ReceiptStatus::Accepted, STRICT)
    );
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(Duration::from_millis(1999));
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(Duration::from_millis(1));
    let delivery = take_one(&mut stream).await;
    assert_eq!((delivery.message.id, delivery.attempt), (receipt.id, 1));
    ack(&*journal, &delivery).await;
    nothing_else_waits(&*journal, &mut stream).await;
    // A stream that already waits is woken by the clock.
    let at = harness.clock_now().after(HOUR);
    publish(&*journal, later(PAID, "2", at)).await;
    let waiting = tokio::spawn(async move { take_one(&mut stream).await });
    harness.clock().advance(HOUR);
    assert_eq!(data(&waiting.await.unwrap()), "2");
}

pub(crate) async fn a_delay_of_weeks_outlives_restarts_and_the_retention(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let mut journal = harness.open(roomy()).await;
        let stream = paid_handler(&*journal, "lms.enrol").await;
        let at = harness.clock_now().after(DAY * 25);
        let id = publish(&*journal, later(PAID, "1", at)).await.id;
        drop(stream);
        for days in [1, 23] {
            journal = again(harness, journal, ending).await;
            let mut stream = paid_handler(&*journal, "lms.enrol").await;
            harness.clock().advance(DAY * days);
            journal.maintain().await.unwrap();
            nothing_else_waits(&*journal, &mut stream).await;
        }
        // Overdue when the journal is opened: at once.
        harness.clock().advance(DAY * 2);
        journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let delivery = take_one(&mut stream).await;
        assert_eq!(delivery.message.id, id, "{ending:?}");
        ack(&*journal, &delivery).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        nothing_else_waits(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn delayed_messages_come_in_the_order_of_their_times(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let now = harness.clock_now();
    let batch = [("1", 3), ("2", 1), ("3", 2)];
    let batch = batch.map(|(data, hours)| later(PAID, data, now.after(HOUR * hours)));
    journal.publish(batch.into()).await.unwrap();
    harness.clock().advance(HOUR);
    assert_eq!(data(&take_one(&mut stream).await), "2");
    harness.clock().advance(HOUR * 2);
    assert_eq!(texts(&take(&mut stream, 2).await), ["3", "1"]);
}

pub(crate) async fn a_batch_may_hold_messages_for_now_and_for_later(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let now = harness.clock_now();
    let batch = vec![
        message(PAID, "1"),
        later(PAID, "2", now.after(HOUR)),
        message(PAID, "3"),
        // Its time has come already: nothing to wait for.
        later(PAID, "4", now.before(HOUR)),
        later(PAID, "5", now),
    ];
    let receipts = journal.publish(batch).await.unwrap();
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.status == ReceiptStatus::Accepted)
    );
    assert_eq!(texts(&take(&mut stream, 4).await), ["1", "3", "4", "5"]);
    assert_eq!(journal.stats().await.unwrap().delayed, 1);
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    assert_eq!(data(&take_one(&mut stream).await), "2");
}

pub(crate) async fn the_idempotency_key_of_a_delayed_message_counts_at_once(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = Some(harness.clock_now().after(HOUR));
    let delayed = |data| NewMessage {
        deliver_at: at,
        ..keyed(PAID, data, "evt_1")
    };
    let first = delayed("1");
    let id = publish(&*journal, first.clone()).await.id;
    for (new, status) in [
        (delayed("1"), ReceiptStatus::Duplicate),
        (keyed(PAID, "1", "evt_1"), ReceiptStatus::Duplicate),
        (keyed(PAID, "2", "evt_1"), ReceiptStatus::Conflict),
    ] {
        let receipt = publish(&*journal, new).await;
        assert_eq!((receipt.id, receipt.status), (id, status));
    }
    // The id of a message is its own as well.
    let mut same_id = later(PAID, "1", harness.clock_now().after(HOUR));
    same_id.envelope.id = id;
    assert_eq!(
        publish(&*journal, same_id.clone()).await.status,
        ReceiptStatus::Duplicate
    );
    harness.clock().advance(HOUR);
    let delivery = take_one(&mut stream).await;
    assert_eq!(delivery.message.id, id);
    ack(&*journal, &delivery).await;
    same_id.deliver_at = None;
    for new in [same_id, keyed(PAID, "1", "evt_1")] {
        assert_eq!(
            publish(&*journal, new).await.status,
            ReceiptStatus::Duplicate
        );
    }
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_delayed_message_is_listed_as_that(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = harness.clock_now().after(HOUR);
    let id = publish(&*journal, later(PAID, "1", at)).await.id;
    publish(&*journal, message(PAID, "2")).await;
    let state = |state| MessageQuery {
        state: Some(state),
        limit: 10,
        ..MessageQuery::default()
    };
    let delayed = journal
        .messages(state(MessageState::Delayed))
        .await
        .unwrap();
    let [record] = &delayed.items[..] else {
        panic!("{:?}", delayed.items);
    };
    assert_eq!((record.message.id, record.deliver_at), (id, Some(at)));
    assert_eq!(record.accepted, harness.clock_now());
    let all = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    assert_eq!(journal.messages(all).await.unwrap().items.len(), 2);
    let detail = journal.message(id).await.unwrap().unwrap();
    assert_eq!(detail.record.state, MessageState::Delayed);
    assert!(detail.deliveries.is_empty(), "{:?}", detail.deliveries);
    let stats = journal.stats().await.unwrap();
    assert_eq!((stats.delayed, stats.handlers[0].lag), (1, 1));
    ack(&*journal, &take_one(&mut stream).await).await;
    harness.clock().advance(HOUR);
    ack(&*journal, &take_one(&mut stream).await).await;
    let delayed = journal
        .messages(state(MessageState::Delayed))
        .await
        .unwrap();
    assert!(delayed.items.is_empty());
    let acked = journal.messages(state(MessageState::Acked)).await.unwrap();
    assert_eq!(acked.items.len(), 2);
    assert_eq!(journal.stats().await.unwrap().delayed, 0);
}

pub(crate) async fn a_delayed_message_may_be_discarded_before_its_time(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let at = harness.clock_now().after(HOUR);
        let batch = ["1", "2"].map(|data| later(PAID, data, at));
        let receipts = journal.publish(batch.into()).await.unwrap();
        assert_eq!(discard(&*journal, receipts[0].id, None).await, 1);
        assert_eq!(discard(&*journal, receipts[0].id, None).await, 0);
        assert_eq!(journal.stats().await.unwrap().delayed, 1);
        drop(stream);
        let journal = again(harness, journal, ending).await;
        stream = paid_handler(&*journal, "lms.enrol").await;
        harness.clock().advance(HOUR);
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), "2", "{ending:?}");
        ack(&*journal, &next).await;
        nothing_else_waits(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn what_an_ack_emits_may_be_for_later(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut mail = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    let id = publish(&*journal, message(PAID, "1")).await.id;
    let delivery = take_one(&mut lms).await;
    let at = Some(harness.clock_now().after(HOUR));
    let delayed = NewMessage {
        deliver_at: at,
        ..emit(&delivery, 0, ENROLLED, "later")
    };
    let emits = vec![
        delayed.clone(),
        delayed.clone(),
        emit(&delivery, 1, ENROLLED, "now"),
    ];
    settled(&*journal, &delivery, Verdict::Ack { emits }).await;
    let now = take_one(&mut mail).await;
    assert_eq!(data(&now), "now");
    ack(&*journal, &now).await;
    assert_eq!(journal.stats().await.unwrap().delayed, 1);
    drop((lms, mail));
    let journal = again(harness, journal, Ending::Crash).await;
    let mut mail = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    harness.clock().advance(HOUR);
    let late = take_one(&mut mail).await;
    assert_eq!(late.message.id, delayed.envelope.id);
    assert_eq!(late.message.cause, Some(id));
    ack(&*journal, &late).await;
    assert_eq!(handler_stats(&*journal, "mail.send").await.lag, 0);
    assert_eq!(journal.stats().await.unwrap().delayed, 0);
}

pub(crate) async fn a_handler_that_is_opened_meanwhile_gets_it(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let at = harness.clock_now().after(HOUR);
    publish(&*journal, later(PAID, "1", at)).await;
    publish(&*journal, message(PAID, "old")).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    harness.clock().advance(HOUR);
    assert_eq!(data(&take_one(&mut stream).await), "1");
}

pub(crate) async fn a_delayed_message_takes_its_place_in_its_key_at_its_time(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let spec = HandlerSpec {
        order: true,
        ..spec("lms.enrol", &[PAID], StartFrom::Now)
    };
    let mut stream = journal.open(spec).await.unwrap();
    let delayed = NewMessage {
        deliver_at: Some(harness.clock_now().after(HOUR)),
        ..lettered("a1")
    };
    publish(&*journal, delayed).await;
    publish_letters(&*journal, &["a2"]).await;
    let a2 = take_one(&mut stream).await;
    assert_eq!(data(&a2), "a2");
    harness.clock().advance(HOUR);
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    publish_letters(&*journal, &["a3"]).await;
    ack(&*journal, &a2).await;
    for expected in ["a1", "a3"] {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
}
