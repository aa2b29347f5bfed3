//! Handlers that are not served any more, while the journal stays open: what they held, what waits for them, and how long.

use coordinator_journal::{Absence, PublishError};

use super::*;

async fn leave(journal: &dyn Journal, handler: &str, absence: Absence) {
    journal.leave(handler, absence).await.unwrap();
}

/// Two may wait for a handler.
fn tight() -> Limits {
    Limits {
        max_backlog: 2,
        ..roomy()
    }
}

pub(crate) async fn a_handler_that_leaves_holds_nothing_and_goes_on_where_it_was(
    harness: &dyn Harness,
) {
    for absence in [Absence::Waiting, Absence::Removed] {
        let handler = format!("lms.{absence:?}").to_lowercase();
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, &handler).await;
        publish_numbers(&*journal, PAID, 4).await;
        let out = take(&mut stream, 3).await;
        ack(&*journal, &out[1]).await;
        retry(&*journal, &out[2], harness.clock_now()).await;
        // Once more is no mistake, nor is one that nobody knows.
        leave(&*journal, &handler, absence).await;
        leave(&*journal, &handler, absence).await;
        leave(&*journal, "nobody.here", absence).await;
        assert!(stream.next(1).await.unwrap().is_empty(), "it has ended");
        let stats = handler_stats(&*journal, &handler).await;
        assert_eq!((stats.lag, stats.running), (3, 0), "{absence:?}");
        assert_eq!(stats.open, absence == Absence::Waiting);
        // What it was handed out is not its own any more.
        let ack = Verdict::Ack { emits: Vec::new() };
        let late = settle(&*journal, &out[0], ack).await;
        assert_eq!(late, SettleOutcome::Stale);
        publish(&*journal, message(PAID, "5")).await;

        let mut stream = paid_handler(&*journal, &handler).await;
        let back = take(&mut stream, 4).await;
        let mut seen = texts(&back);
        seen.sort();
        assert_eq!(seen, ["1", "3", "4", "5"]);
        let attempts: u32 = back.iter().map(|delivery| delivery.attempt).sum();
        assert_eq!(attempts, 5, "only what was retried counts");
        ack_all(&*journal, &back).await;
        nothing_else_waits(&*journal, &mut stream).await;
        leave(&*journal, &handler, Absence::Waiting).await;
        journal.close().await;
    }
}

pub(crate) async fn what_left_the_wiring_fills_no_backlog_and_what_waits_does(
    harness: &dyn Harness,
) {
    let journal = harness.open(tight()).await;
    let stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 2).await;
    let refused = async || {
        let refused = journal.publish(vec![message(PAID, "3")]).await;
        matches!(refused, Err(PublishError::Full { .. }))
    };
    assert!(refused().await);
    leave(&*journal, "lms.enrol", Absence::Waiting).await;
    assert!(refused().await, "it is still in the wiring");
    leave(&*journal, "lms.enrol", Absence::Removed).await;
    publish_numbers(&*journal, PAID, 3).await;
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 5);
    drop(stream);
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    assert!(refused().await, "it is back, and behind");
    ack_all(&*journal, &take(&mut stream, 5).await).await;
    publish(&*journal, message(PAID, "4")).await;
}

pub(crate) async fn what_left_the_wiring_is_kept_for_one_retention_without_a_restart(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "old.enrol").await;
    let _waits = paid_handler(&*journal, "off.enrol").await;
    harness.clock().advance(RETENTION * 2);
    publish_numbers(&*journal, PAID, 3).await;
    let out = take(&mut stream, 2).await;
    retry(&*journal, &out[0], harness.clock_now()).await;
    leave(&*journal, "old.enrol", Absence::Removed).await;
    leave(&*journal, "off.enrol", Absence::Waiting).await;
    harness.clock().advance(RETENTION - HOUR);
    // Of what comes in the last hour nothing is old when the handler is given up.
    publish(&*journal, message(PAID, "4")).await;
    journal.maintain().await.unwrap();
    assert_eq!(journal.stats().await.unwrap().dead, 0);
    harness.clock().advance(HOUR * 2);
    journal.maintain().await.unwrap();
    let letters = dead_letters(&*journal).await;
    let of = |handler: &str, reason: &str| {
        let all = letters.iter().filter(|letter| letter.handler == handler);
        all.inspect(|letter| assert_eq!(letter.failure.chain, [reason]))
            .count()
    };
    assert_eq!(of("old.enrol", "handler removed"), 4);
    assert_eq!(of("off.enrol", "expired before the handler took it"), 3);
    assert_eq!(handler_stats(&*journal, "off.enrol").await.lag, 1);
}
