//! What operators and the wiring rely on: pause and resume, slots, refusals at the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use coordinator_context::HandlerTerms;
use coordinator_dispatch::{
    Attempted, DispatchOptions, Dispatcher, HandlerState, Observer, Outcome, StartError,
    UnknownHandler,
};
use coordinator_journal::FailureKind;
use tokio::sync::Semaphore;

use crate::stage::{Calls, Stage, ack, brisk, eventually, retry, status, steady, target};

#[tokio::test]
async fn a_paused_handler_takes_nothing_until_it_is_resumed() {
    let stage = Stage::new().await;
    let (paused, other) = (Calls::default(), Calls::default());
    let dispatcher = stage
        .start(vec![
            steady("lms.enrol", &paused),
            steady("crm.note", &other),
        ])
        .await;
    dispatcher.pause("lms.enrol").unwrap();
    assert_eq!(status(&dispatcher, "lms.enrol").state, HandlerState::Paused);
    stage.publish(10).await;
    other.reach(10).await;
    stage.settled("crm.note").await;
    assert!(paused.all().is_empty());
    dispatcher.resume("lms.enrol").unwrap();
    paused.reach(10).await;
    assert_eq!(
        status(&dispatcher, "lms.enrol").state,
        HandlerState::Running
    );
}

#[tokio::test]
async fn a_handler_that_is_not_there_can_be_neither_paused_nor_resumed() {
    let stage = Stage::new().await;
    let dispatcher = stage
        .start(vec![steady("lms.enrol", &Calls::default())])
        .await;
    assert_eq!(
        dispatcher.pause("lms.enroll"),
        Err(UnknownHandler("lms.enroll".to_owned()))
    );
    let refusal = dispatcher.resume("lms.enroll").unwrap_err().to_string();
    assert_eq!(
        refusal,
        "there is no handler `lms.enroll`\n(see `coordinator handlers list`)"
    );
}

#[tokio::test]
async fn two_handlers_of_one_name_are_refused() {
    let stage = Stage::new().await;
    let twice = vec![
        steady("lms.enrol", &Calls::default()),
        steady("lms.enrol", &Calls::default()),
    ];
    let refused = Dispatcher::start(
        DispatchOptions::default(),
        Arc::clone(&stage.journal),
        twice,
    )
    .await;
    assert!(matches!(refused, Err(StartError::DuplicateHandler(id)) if id == "lms.enrol"));
}

#[tokio::test]
async fn concurrency_is_used_and_never_exceeded() {
    let stage = Stage::new().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let counts = target(
        "lms.enrol",
        HandlerTerms {
            concurrency: 5,
            ..brisk()
        },
        move |delivery| {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            async move {
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(3)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                if delivery.attempt == 1 {
                    retry("once more")
                } else {
                    ack()
                }
            }
        },
    );
    let _dispatcher = stage.start(vec![counts]).await;
    stage.publish(100).await;
    stage.settled("lms.enrol").await;
    assert_eq!(most.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_slow_handler_leaves_its_backlog_in_the_journal() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let noted = calls.clone();
    let terms = HandlerTerms {
        concurrency: 1,
        ..brisk()
    };
    let hangs = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        std::future::pending()
    });
    let dispatcher = stage.start(vec![hangs]).await;
    stage.publish(50).await;
    calls.reach(1).await;
    let status = status(&dispatcher, "lms.enrol");
    assert_eq!(status.running, 1);
    assert!(status.waiting <= 1, "{} wait", status.waiting);
}

#[tokio::test]
async fn retries_that_hang_leave_slots_for_first_tries() {
    let stage = Stage::new().await;
    let (outage, calls) = (Arc::new(AtomicBool::new(true)), Calls::default());
    let (release, retrying) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let terms = HandlerTerms {
        concurrency: 4,
        ..brisk()
    };
    let (down, noted, held, hanging) = (
        Arc::clone(&outage),
        calls.clone(),
        Arc::clone(&release),
        Arc::clone(&retrying),
    );
    let lms = target("lms.enrol", terms, move |delivery| {
        let (held, hanging) = (Arc::clone(&held), Arc::clone(&hanging));
        noted.note(&delivery);
        let fails = delivery.attempt == 1 && down.load(Ordering::SeqCst);
        async move {
            if fails {
                return retry("503 Service Unavailable");
            }
            if delivery.attempt > 1 {
                hanging.fetch_add(1, Ordering::SeqCst);
                drop(held.acquire().await);
            }
            ack()
        }
    });
    let dispatcher = stage.start(vec![lms]).await;
    stage.publish(12).await;
    eventually("retries to take their share", async || {
        (retrying.load(Ordering::SeqCst) == 3).then_some(())
    })
    .await;
    calls.reach(12 + 3).await;
    outage.store(false, Ordering::SeqCst);
    let late = stage.publish(20).await;
    for id in late {
        eventually("a first try", async || {
            (!calls.attempts_on(id).is_empty()).then_some(())
        })
        .await;
    }
    assert_eq!(
        retrying.load(Ordering::SeqCst),
        3,
        "retries kept to their share"
    );
    assert_eq!(status(&dispatcher, "lms.enrol").terms.concurrency, 4);
    release.add_permits(1);
    stage.settled("lms.enrol").await;
}

#[derive(Default)]
struct Tally {
    acked: AtomicUsize,
    retried: AtomicUsize,
}

impl Observer for Tally {
    fn attempted(&self, attempted: &Attempted<'_>) {
        let count = match attempted.outcome {
            Outcome::Acked => &self.acked,
            Outcome::Retried(FailureKind::Retry) => &self.retried,
            other => panic!("nothing of this test ends as {other:?}"),
        };
        assert_eq!(attempted.handler, "lms.enrol");
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn stuck(&self, handler: &str, _stuck: bool) {
        panic!("`{handler}` does not block");
    }
}

#[tokio::test]
async fn every_attempt_is_observed() {
    let stage = Stage::new().await;
    let tally = Arc::new(Tally::default());
    let lms = target("lms.enrol", brisk(), |delivery| async move {
        if delivery.attempt == 1 {
            retry("once more")
        } else {
            ack()
        }
    });
    let observer = Arc::clone(&tally) as Arc<dyn Observer>;
    let _dispatcher = stage
        .start_with(
            DispatchOptions {
                observer,
                ..DispatchOptions::default()
            },
            vec![lms],
        )
        .await;
    stage.publish(7).await;
    stage.settled("lms.enrol").await;
    assert_eq!(tally.acked.load(Ordering::SeqCst), 7);
    assert_eq!(tally.retried.load(Ordering::SeqCst), 7);
}
