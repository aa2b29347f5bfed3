//! Handing out and settling.

use coordinator_journal::{Limits, ReceiptStatus, StartFrom};

use super::*;

pub(crate) async fn each_bound_handler_gets_its_own_delivery(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut both = journal
        .open(spec("audit.note", &[PAID, ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    let batch = vec![
        message(PAID, "1"),
        message(ENROLLED, "2"),
        message(PAID, "3"),
    ];
    journal.publish(batch).await.unwrap();
    let of_lms = take(&mut lms, 2).await;
    let mut of_both = take(&mut both, 3).await;
    assert_eq!(texts(&of_lms), ["1", "3"]);
    // Between lanes an engine promises no order.
    of_both.sort_by_key(data);
    assert_eq!(texts(&of_both), ["1", "2", "3"]);
    ack(&*journal, &of_lms[0]).await;
    ack(&*journal, &of_both[0]).await;
}

pub(crate) async fn what_waits_in_a_lane_that_its_type_has_left_is_still_delivered(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let enrol = || spec("lms.enrol", &[PAID], StartFrom::Now);
    let stream = journal.open(enrol().in_lanes(&["orders"])).await.unwrap();
    drop(stream);
    let mut before = message(PAID, "1");
    before.envelope.lane = "orders".to_owned();
    publish(&*journal, before).await;
    let mut stream = journal.open(enrol()).await.unwrap();
    publish(&*journal, message(PAID, "2")).await;
    let mut both = take(&mut stream, 2).await;
    both.sort_by_key(data);
    assert_eq!(texts(&both), ["1", "2"]);
    ack_all(&*journal, &both).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn an_ack_and_its_emits_are_one_write(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut mail = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    publish(&*journal, message(PAID, "1")).await;
    let delivery = take_one(&mut lms).await;
    let emits = vec![
        emit(&delivery, 0, ENROLLED, "2"),
        emit(&delivery, 1, ENROLLED, "3"),
    ];
    harness.break_writes().await;
    let failing = Settle {
        token: delivery.token.clone(),
        verdict: Verdict::Ack {
            emits: emits.clone(),
        },
    };
    assert!(journal.settle(vec![failing]).await.is_err());
    harness.mend_writes().await;
    assert_eq!(
        settle(&*journal, &delivery, Verdict::Ack { emits }).await,
        SettleOutcome::Settled
    );
    let emitted = take(&mut mail, 2).await;
    assert_eq!(texts(&emitted), ["2", "3"]);
    assert_eq!(emitted[0].message.cause, Some(delivery.message.id));
    assert_eq!(emitted[0].message.correlation, delivery.message.id);
    assert_eq!(journal.stats().await.unwrap().messages, 3);
}

pub(crate) async fn a_duplicate_emit_does_not_fail_the_ack(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut mail = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    publish(&*journal, message(PAID, "1")).await;
    let delivery = take_one(&mut lms).await;
    publish(&*journal, emit(&delivery, 0, ENROLLED, "2")).await;
    let emits = vec![
        emit(&delivery, 0, ENROLLED, "2"),
        emit(&delivery, 1, ENROLLED, "3"),
        emit(&delivery, 1, ENROLLED, "3"),
    ];
    assert_eq!(
        settle(&*journal, &delivery, Verdict::Ack { emits }).await,
        SettleOutcome::Settled
    );
    assert_eq!(texts(&take(&mut mail, 2).await), ["2", "3"]);
    assert_eq!(journal.stats().await.unwrap().messages, 3);
}

pub(crate) async fn emits_pass_a_full_backlog(harness: &dyn Harness) {
    let journal = harness
        .open(Limits {
            max_backlog: 1,
            ..roomy()
        })
        .await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    assert!(
        journal
            .publish(vec![message(PAID, "refused")])
            .await
            .is_err()
    );
    let delivery = take_one(&mut lms).await;
    let emits = (0..3)
        .map(|index| emit(&delivery, index, PAID, "again"))
        .collect();
    assert_eq!(
        settle(&*journal, &delivery, Verdict::Ack { emits }).await,
        SettleOutcome::Settled
    );
    assert_eq!(take(&mut lms, 3).await.len(), 3);
}

pub(crate) async fn an_old_token_settles_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    let old = take_one(&mut stream).await;
    // Opened again: the delivery is handed out anew, and what the old stream gave is void.
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let new = take_one(&mut stream).await;
    assert_eq!((new.message.id, new.attempt), (old.message.id, 1));
    let emits = vec![emit(&old, 0, PAID, "ghost")];
    assert_eq!(
        settle(&*journal, &old, Verdict::Ack { emits }).await,
        SettleOutcome::Stale
    );
    retry(&*journal, &new, harness.clock_now()).await;
    assert_eq!(
        settle(&*journal, &new, Verdict::Ack { emits: Vec::new() }).await,
        SettleOutcome::Stale
    );
    let again = take_one(&mut stream).await;
    let twice = vec![
        Settle {
            token: again.token.clone(),
            verdict: Verdict::Ack { emits: Vec::new() },
        },
        Settle {
            token: again.token.clone(),
            verdict: Verdict::Ack { emits: Vec::new() },
        },
    ];
    assert_eq!(
        journal.settle(twice).await.unwrap(),
        [SettleOutcome::Settled, SettleOutcome::Stale]
    );
    nothing_else_waits(&*journal, &mut stream).await;
    assert_eq!(journal.stats().await.unwrap().handlers[0].lag, 0);
}

pub(crate) async fn what_was_handed_out_and_not_settled_comes_again_after_a_restart(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    let deliveries = take(&mut stream, 2).await;
    retry(&*journal, &deliveries[0], harness.clock_now()).await;
    assert_eq!(take_one(&mut stream).await.attempt, 2);
    journal.close().await;

    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let again = take(&mut stream, 2).await;
    let mut attempts: Vec<_> = again
        .iter()
        .map(|delivery| (data(delivery), delivery.attempt))
        .collect();
    attempts.sort();
    assert_eq!(attempts, [("1".to_owned(), 2), ("2".to_owned(), 1)]);
    for delivery in &again {
        ack(&*journal, delivery).await;
    }
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn what_was_acked_out_of_order_stays_acked_after_a_restart(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 5).await;
    let deliveries = take(&mut stream, 5).await;
    for index in [1, 2, 4] {
        ack(&*journal, &deliveries[index]).await;
    }
    journal.close().await;

    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    assert_eq!(journal.stats().await.unwrap().handlers[0].lag, 2);
    let again = take(&mut stream, 2).await;
    assert_eq!(texts(&again), ["1", "4"]);
    for delivery in &again {
        ack(&*journal, delivery).await;
    }
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_failed_settle_changes_nothing_and_may_be_sent_again(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 3).await;
    let deliveries = take(&mut stream, 3).await;
    let now = harness.clock_now();
    let verdicts = || {
        let failure = failure(FailureKind::Refused, "LMS answered 422");
        vec![
            Settle {
                token: deliveries[0].token.clone(),
                verdict: Verdict::Ack { emits: Vec::new() },
            },
            Settle {
                token: deliveries[1].token.clone(),
                verdict: Verdict::Retry {
                    due: now,
                    failure: failure.clone(),
                },
            },
            Settle {
                token: deliveries[2].token.clone(),
                verdict: Verdict::Dead { failure },
            },
        ]
    };
    harness.break_writes().await;
    assert!(journal.settle(verdicts()).await.is_err());
    let stats = journal.stats().await.unwrap();
    assert_eq!(
        (stats.handlers[0].lag, stats.handlers[0].running, stats.dead),
        (3, 3, 0)
    );
    harness.mend_writes().await;
    assert_eq!(
        journal.settle(verdicts()).await.unwrap(),
        [SettleOutcome::Settled; 3]
    );
    let again = take_one(&mut stream).await;
    assert_eq!((data(&again).as_str(), again.attempt), ("2", 2));
    assert_eq!(journal.stats().await.unwrap().dead, 1);
}

pub(crate) async fn a_new_handler_starts_now_unless_it_asks_for_the_earliest(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    publish_numbers(&*journal, PAID, 2).await;
    let mut now = paid_handler(&*journal, "lms.enrol").await;
    let mut earliest = journal
        .open(spec("audit.note", &[PAID], StartFrom::Earliest))
        .await
        .unwrap();
    publish(&*journal, message(PAID, "3")).await;
    assert_eq!(texts(&take(&mut now, 1).await), ["3"]);
    assert_eq!(texts(&take(&mut earliest, 3).await), ["1", "2", "3"]);
}

pub(crate) async fn a_newly_bound_type_starts_now_unless_it_asks_for_the_earliest(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut streams = Vec::new();
    for id in ["lms.enrol", "audit.note"] {
        streams.push(paid_handler(&*journal, id).await);
    }
    journal
        .publish(vec![message(ENROLLED, "old"), message(PAID, "1")])
        .await
        .unwrap();
    for stream in &mut streams {
        ack(&*journal, &take_one(stream).await).await;
    }
    let types = [PAID, ENROLLED];
    let mut now = journal
        .open(spec("lms.enrol", &types, StartFrom::Now))
        .await
        .unwrap();
    let mut earliest = journal
        .open(spec("audit.note", &types, StartFrom::Earliest))
        .await
        .unwrap();
    publish(&*journal, message(ENROLLED, "new")).await;
    assert_eq!(data(&take_one(&mut now).await), "new");
    let mut seen = texts(&take(&mut earliest, 2).await);
    seen.sort();
    assert_eq!(seen, ["new", "old"]);
}

pub(crate) async fn an_unbound_type_leaves_dead_letters_and_no_deliveries(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = journal
        .open(spec("lms.enrol", &[PAID, ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    journal
        .publish(vec![message(ENROLLED, "1"), message(ENROLLED, "2")])
        .await
        .unwrap();
    let delivery = take_one(&mut stream).await;
    retry(&*journal, &delivery, harness.clock_now().after(HOUR)).await;
    publish(&*journal, message(PAID, "3")).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    assert_eq!(data(&take_one(&mut stream).await), "3");
    let stats = journal.stats().await.unwrap();
    assert_eq!((stats.dead, stats.handlers[0].lag), (2, 1));
}

pub(crate) async fn a_straggler_does_not_hold_the_others_up(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "\"slow\"")).await;
    let slow = take_one(&mut stream).await;
    for _ in 0..10 {
        publish_numbers(&*journal, PAID, 1000).await;
        let deliveries = take(&mut stream, 1000).await;
        let acks = deliveries.into_iter().map(|delivery| Settle {
            token: delivery.token,
            verdict: Verdict::Ack { emits: Vec::new() },
        });
        let outcomes = journal.settle(acks.collect()).await.unwrap();
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == SettleOutcome::Settled)
        );
    }
    assert_eq!(journal.stats().await.unwrap().handlers[0].lag, 1);
    ack(&*journal, &slow).await;
    assert_eq!(journal.stats().await.unwrap().handlers[0].lag, 0);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_stream_ends_when_the_journal_is_closed(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let waiting = tokio::spawn(async move { stream.next(10).await });
    journal.close().await;
    assert!(waiting.await.unwrap().unwrap().is_empty());
    assert!(journal.publish(vec![message(PAID, "1")]).await.is_err());
    let journal = harness.open(roomy()).await;
    assert_eq!(
        publish(&*journal, message(PAID, "1")).await.status,
        ReceiptStatus::Accepted
    );
}

pub(crate) async fn dropping_a_wait_loses_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 20).await;
    let mut seen = Vec::new();
    // Each wait is dropped a little later than the one before, until one is not.
    let mut patience = 0;
    while seen.len() < 20 {
        patience += 1;
        let give_up = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            deliveries = stream.next(3) => seen.extend(texts(&deliveries.unwrap())),
            () = give_up => {}
        }
    }
    let all: Vec<_> = (1..=20).map(|number| number.to_string()).collect();
    assert_eq!(seen, all);
    assert_eq!(journal.stats().await.unwrap().handlers[0].running, 20);
}
