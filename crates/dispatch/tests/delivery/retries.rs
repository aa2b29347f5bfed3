//! Retries, dead letters, restarts and chains of messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordinator_context::{HandlerTerms, Reply};
use coordinator_dispatch::{DispatchOptions, DrainReport};
use coordinator_journal::FailureKind;

use crate::stage::{Calls, FOLLOWED, Stage, ack, brisk, happened, retry, target, target_of};

#[tokio::test]
async fn an_outage_longer_than_any_backoff_is_outlived() {
    let stage = Stage::new().await;
    let (calls, recovered) = (Calls::default(), Arc::new(AtomicBool::new(false)));
    let (noted, up) = (calls.clone(), Arc::clone(&recovered));
    let lms = target("lms.enrol", brisk(), move |delivery| {
        noted.note(&delivery);
        let up = up.load(Ordering::SeqCst);
        async move {
            if up {
                ack()
            } else {
                retry("503 Service Unavailable")
            }
        }
    });
    let _dispatcher = stage.start(vec![lms]).await;
    let ids = stage.publish(10).await;
    calls.reach(10 * 8).await;
    recovered.store(true, Ordering::SeqCst);
    stage.settled("lms.enrol").await;
    assert!(stage.dead_letters().await.is_empty());
    for id in ids {
        let attempts = calls.attempts_on(id);
        let expected: Vec<u32> = (1..).take(attempts.len()).collect();
        assert_eq!(attempts, expected, "each attempt once, in order");
    }
}

#[tokio::test]
async fn a_refusal_goes_to_the_dead_letters_at_once_with_its_chain_redacted() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let noted = calls.clone();
    let lms = target("lms.enrol", brisk(), move |delivery| {
        noted.note(&delivery);
        async {
            Reply::Dead {
                chain: vec![
                    "enrolment refused".to_owned(),
                    "no user ada@example.org".to_owned(),
                ],
            }
        }
    });
    let redact = Arc::new(|text: &str| text.replace("ada@example.org", "[email]"));
    let _dispatcher = stage
        .start_with(
            DispatchOptions {
                redact,
                ..DispatchOptions::default()
            },
            vec![lms],
        )
        .await;
    let id = stage.publish(1).await[0];
    let dead = stage.dead(1).await;
    assert_eq!(dead[0].message.id, id);
    assert_eq!(
        (dead[0].attempts, dead[0].failure.kind),
        (1, FailureKind::Refused)
    );
    assert_eq!(
        dead[0].failure.chain,
        ["enrolment refused", "no user [email]"]
    );
    assert_eq!(calls.attempts_on(id), [1]);
}

#[tokio::test]
async fn a_handler_that_keeps_failing_runs_out_of_attempts() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let noted = calls.clone();
    let terms = HandlerTerms {
        max_attempts: 4,
        ..brisk()
    };
    let fails = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        async { retry("503 Service Unavailable") }
    });
    let _dispatcher = stage.start(vec![fails]).await;
    let id = stage.publish(1).await[0];
    let dead = stage.dead(1).await;
    assert_eq!(
        (dead[0].attempts, dead[0].failure.kind),
        (4, FailureKind::Retry)
    );
    assert_eq!(calls.attempts_on(id), [1, 2, 3, 4]);
}

#[tokio::test]
async fn attempts_are_counted_over_a_restart() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let terms = HandlerTerms {
        max_attempts: 6,
        ..brisk()
    };
    let failing = |calls: &Calls| {
        let noted = calls.clone();
        target("lms.enrol", terms.clone(), move |delivery| {
            noted.note(&delivery);
            async { retry("down") }
        })
    };
    let dispatcher = stage.start(vec![failing(&calls)]).await;
    let id = stage.publish(1).await[0];
    calls.reach(2).await;
    let drained = dispatcher.drain(Duration::from_secs(30)).await;
    assert_eq!(
        DrainReport {
            finished: 0,
            ..drained
        },
        DrainReport::default()
    );

    let stage = stage.restart().await;
    let _dispatcher = stage.start(vec![failing(&calls)]).await;
    let dead = stage.dead(1).await;
    assert_eq!(dead[0].attempts, 6);
    assert_eq!(calls.attempts_on(id), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn what_a_handler_emits_comes_with_its_ack_and_once() {
    let stage = Stage::new().await;
    let (first, second) = (Calls::default(), Calls::default());
    let (noted, received) = (first.clone(), second.clone());
    let emits = target("shop.pay", brisk(), move |delivery| {
        noted.note(&delivery);
        async move {
            if delivery.attempt < 3 {
                return retry("not yet");
            }
            let mut followed = happened(delivery.emit_id(0), FOLLOWED);
            followed.envelope.cause = Some(delivery.message.id);
            Reply::Ack {
                emits: vec![followed],
            }
        }
    });
    let follows = target_of(FOLLOWED, "lms.enrol", brisk(), move |delivery| {
        received.note(&delivery);
        async { ack() }
    });
    let _dispatcher = stage.start(vec![emits, follows]).await;
    let ids = stage.publish(5).await;
    second.reach(5).await;
    stage.settled("shop.pay").await;
    stage.settled("lms.enrol").await;
    assert_eq!(second.all().len(), 5);
    for id in ids {
        assert_eq!(first.attempts_on(id), [1, 2, 3]);
        assert_eq!(second.attempts_on(id.emitted("shop.pay", 0, 0)), [1]);
    }
}
