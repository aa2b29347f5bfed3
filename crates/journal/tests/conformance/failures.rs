//! Retries, dead letters and what is kept of failed attempts.

use coordinator_journal::{DeadLetterQuery, DeliveryState};

use super::*;

pub(crate) async fn a_retry_waits_for_its_time_and_counts_its_attempts(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    let first = take_one(&mut stream).await;
    retry(&*journal, &first, harness.clock_now().after(HOUR)).await;
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    let second = take_one(&mut stream).await;
    assert_eq!(
        (second.message.id, second.attempt, second.replay),
        (first.message.id, 2, 0)
    );
    // A stream that already waits is woken by the clock as well.
    retry(&*journal, &second, harness.clock_now().after(HOUR)).await;
    let waiting = tokio::spawn(async move { take_one(&mut stream).await });
    harness.clock().advance(HOUR);
    let third = waiting.await.unwrap();
    assert_eq!(third.attempt, 3);
    ack(&*journal, &third).await;
}

pub(crate) async fn a_retry_survives_a_restart(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    let delivery = take_one(&mut stream).await;
    retry(&*journal, &delivery, harness.clock_now()).await;
    let delivery = take_one(&mut stream).await;
    let due = harness.clock_now().after(HOUR);
    retry(&*journal, &delivery, due).await;
    journal.close().await;

    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let detail = journal.message(delivery.message.id).await.unwrap().unwrap();
    assert_eq!(detail.deliveries[0].due, Some(due));
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    assert_eq!(take_one(&mut stream).await.attempt, 3);
}

pub(crate) async fn retries_come_in_the_order_they_are_due(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 3).await;
    let now = harness.clock_now();
    for (delivery, hours) in take(&mut stream, 3).await.iter().zip([3, 1, 2]) {
        retry(&*journal, delivery, now.after(HOUR * hours)).await;
    }
    harness.clock().advance(HOUR * 3);
    assert_eq!(texts(&take(&mut stream, 3).await), ["2", "3", "1"]);
}

pub(crate) async fn panics_are_counted(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    for (kind, crashes) in [
        (FailureKind::Panic, 1),
        (FailureKind::Timeout, 1),
        (FailureKind::Panic, 2),
    ] {
        let delivery = take_one(&mut stream).await;
        let verdict = Verdict::Retry {
            due: harness.clock_now(),
            failure: failure(kind, "index out of range"),
        };
        settle(&*journal, &delivery, verdict).await;
        let stats = journal.stats().await.unwrap();
        assert_eq!(stats.handlers[0].retrying, 1);
        let again = take_one(&mut stream).await;
        assert_eq!(again.crashes, crashes);
        let verdict = Verdict::Retry {
            due: harness.clock_now(),
            failure: failure(FailureKind::Retry, "later"),
        };
        settle(&*journal, &again, verdict).await;
    }
}

pub(crate) async fn a_dead_letter_keeps_the_message_and_the_failure(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    let first = take_one(&mut stream).await;
    retry(&*journal, &first, harness.clock_now()).await;
    let second = take_one(&mut stream).await;
    kill(&*journal, &second).await;
    nothing_else_waits(&*journal, &mut stream).await;
    let page = journal
        .dead_letters(DeadLetterQuery {
            limit: 10,
            ..DeadLetterQuery::default()
        })
        .await
        .unwrap();
    let letter = &page.items[0];
    assert_eq!((page.items.len(), &page.next), (1, &None));
    assert_eq!((letter.handler.as_str(), letter.attempts), ("lms.enrol", 2));
    assert_eq!(letter.message, first.message);
    assert_eq!(letter.died, harness.clock_now());
    assert_eq!(
        letter.failure,
        failure(FailureKind::Refused, "LMS answered 422")
    );
}

pub(crate) async fn dead_letters_are_listed_by_what_they_are(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    kill(&*journal, &take_one(&mut stream).await).await;
    let died = Some(harness.clock_now());
    let all = DeadLetterQuery::default;
    let of = |handler: &str| DeadLetterQuery {
        handler: Some(handler.to_owned()),
        ..all()
    };
    let of_type = |name| DeadLetterQuery {
        ty: Some(ty(name)),
        ..all()
    };
    for (query, found) in [
        (of("lms.enrol"), 1),
        (of("mail.send"), 0),
        (of_type(PAID), 1),
        (of_type(ENROLLED), 0),
        (
            DeadLetterQuery {
                since: died,
                ..all()
            },
            1,
        ),
        (
            DeadLetterQuery {
                until: died,
                ..all()
            },
            0,
        ),
    ] {
        let listed = journal
            .dead_letters(query.clone())
            .await
            .unwrap()
            .items
            .len();
        assert_eq!(listed, found, "{query:?}");
    }
}

pub(crate) async fn only_failures_leave_attempts(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 2).await;
    let deliveries = take(&mut stream, 2).await;
    ack(&*journal, &deliveries[0]).await;
    retry(&*journal, &deliveries[1], harness.clock_now()).await;
    ack(&*journal, &take_one(&mut stream).await).await;
    for (id, attempts) in ids.into_iter().zip([1, 2]) {
        let detail = journal.message(id).await.unwrap().unwrap();
        let delivery = &detail.deliveries[0];
        assert_eq!(
            (delivery.state, delivery.attempt),
            (DeliveryState::Acked, attempts)
        );
        assert_eq!(delivery.attempts.len(), attempts as usize - 1);
    }
}
