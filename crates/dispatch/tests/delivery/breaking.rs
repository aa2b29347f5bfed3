//! Breakers: a handler that fails on everything is left alone for a while, and no attempts are used up meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator_context::{BreakerTerms, HandlerTerms, Reply, Target};
use coordinator_dispatch::{
    Attempted, BreakerState, DispatchOptions, Dispatcher, HandlerState, Observer,
};

use crate::stage::{Calls, Stage, ack, brisk, eventually, in_state, retry, status, steady, target};

/// A breaker that stays open for an hour.
fn patient() -> BreakerTerms {
    BreakerTerms {
        failures: 5,
        messages: 3,
        panics: 3,
        open_min: Duration::from_secs(3600),
        open_max: Duration::from_secs(3600),
    }
}

/// A breaker that probes after milliseconds.
fn quick() -> BreakerTerms {
    BreakerTerms {
        open_min: Duration::from_millis(5),
        open_max: Duration::from_millis(20),
        ..patient()
    }
}

fn terms(breaker: BreakerTerms) -> HandlerTerms {
    HandlerTerms {
        concurrency: 4,
        breaker: Some(breaker),
        ..brisk()
    }
}

/// A handler that answers so while `down`, and acks otherwise.
fn while_down(
    terms: HandlerTerms,
    down: &Arc<AtomicBool>,
    calls: &Calls,
    answer: impl Fn() -> Reply + Copy + Send + Sync + 'static,
) -> Arc<dyn Target> {
    let (down, calls) = (Arc::clone(down), calls.clone());
    target("lms.enrol", terms, move |delivery| {
        calls.note(&delivery);
        let down = down.load(Ordering::SeqCst);
        async move { if down { answer() } else { ack() } }
    })
}

fn is_open(dispatcher: &Dispatcher) -> bool {
    matches!(
        status(dispatcher, "lms.enrol").state,
        HandlerState::Open { .. }
    )
}

async fn opens(dispatcher: &Dispatcher) {
    eventually("the breaker to open and what runs to end", async || {
        let status = status(dispatcher, "lms.enrol");
        (is_open(dispatcher) && status.running == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn while_its_breaker_is_open_a_handler_is_not_tried_and_others_go_on() {
    let stage = Stage::new().await;
    let (calls, others) = (Calls::default(), Calls::default());
    let down = Arc::new(AtomicBool::new(true));
    let dispatcher = stage
        .start(vec![
            while_down(terms(patient()), &down, &calls, || retry("503")),
            steady("crm.note", &others),
        ])
        .await;
    stage.publish(100).await;
    opens(&dispatcher).await;
    let tried = calls.all().len();
    assert!(
        tried <= 5 + 3,
        "five failures, and what ran beside them: {tried}"
    );

    stage.publish(50).await;
    others.reach(150).await;
    stage.settled("crm.note").await;
    assert_eq!(calls.all().len(), tried);
    assert!(is_open(&dispatcher));
    assert!(stage.dead_letters().await.is_empty());
}

#[tokio::test]
async fn an_outage_burns_only_the_attempts_of_probes_and_everything_is_done_after_it() {
    let stage = Stage::new().await;
    let (calls, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let told = Arc::new(Told::default());
    let options = DispatchOptions {
        observer: Arc::clone(&told) as Arc<dyn Observer>,
        ..DispatchOptions::default()
    };
    let lms = while_down(terms(quick()), &down, &calls, || retry("503"));
    let dispatcher = stage.start_with(options, vec![lms]).await;
    stage.publish(60).await;
    eventually("ten probes", async || {
        (told.opened.load(Ordering::SeqCst) > 10).then_some(())
    })
    .await;
    let opened = told.opened.load(Ordering::SeqCst);
    let tried = calls.all().len();
    assert!(
        tried <= 5 + 3 + opened,
        "{tried} attempts, opened {opened} times"
    );
    down.store(false, Ordering::SeqCst);
    stage.settled("lms.enrol").await;
    assert!(stage.dead_letters().await.is_empty());
    in_state(&dispatcher, "lms.enrol", HandlerState::Running).await;
    assert_eq!(
        told.last.lock().unwrap().clone(),
        Some(("lms.enrol".to_owned(), BreakerState::Closed))
    );
}

#[tokio::test]
async fn panics_on_three_messages_in_a_row_open_the_breaker_of_that_handler_alone() {
    let stage = Stage::new().await;
    let (calls, others) = (Calls::default(), Calls::default());
    let down = Arc::new(AtomicBool::new(true));
    let terms = HandlerTerms {
        concurrency: 1,
        ..terms(patient())
    };
    let panics = while_down(terms, &down, &calls, || Reply::Panicked {
        chain: vec!["index out of bounds".to_owned()],
    });
    let dispatcher = stage.start(vec![panics, steady("lms.drop", &others)]).await;
    let ids = stage.publish(20).await;
    opens(&dispatcher).await;
    let panicked = ids
        .iter()
        .filter(|id| !calls.attempts_on(**id).is_empty())
        .count();
    assert_eq!(panicked, 3);
    others.reach(20).await;
    assert_eq!(status(&dispatcher, "lms.drop").state, HandlerState::Running);
}

#[tokio::test]
async fn refusals_do_not_open_a_breaker() {
    let stage = Stage::new().await;
    let (calls, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let refuses = while_down(terms(patient()), &down, &calls, || Reply::Dead {
        chain: vec!["no such course".to_owned()],
    });
    let dispatcher = stage.start(vec![refuses]).await;
    stage.publish(40).await;
    stage.dead(40).await;
    assert!(!is_open(&dispatcher));
}

#[tokio::test]
async fn what_waits_for_a_breaker_is_there_after_a_restart() {
    let stage = Stage::new().await;
    let (calls, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let lms = || while_down(terms(patient()), &down, &calls, || retry("503"));
    let dispatcher = stage.start(vec![lms()]).await;
    let ids = stage.publish(30).await;
    opens(&dispatcher).await;
    dispatcher.drain(Duration::from_secs(30)).await;
    down.store(false, Ordering::SeqCst);

    let stage = stage.restart().await;
    let _dispatcher = stage.start(vec![lms()]).await;
    stage.settled("lms.enrol").await;
    for id in ids {
        let attempts = calls.attempts_on(id);
        assert!(attempts.is_sorted() && attempts.len() <= 3, "{attempts:?}");
    }
}

#[tokio::test]
async fn a_deferred_attempt_is_not_counted() {
    let stage = Stage::new().await;
    let (calls, deferred) = (Calls::default(), Arc::new(AtomicUsize::new(0)));
    let (noted, count) = (calls.clone(), Arc::clone(&deferred));
    let lms = target("lms.enrol", terms(patient()), move |delivery| {
        noted.note(&delivery);
        let first = count.fetch_add(1, Ordering::SeqCst) < 3;
        async move {
            if first {
                Reply::Deferred {
                    after: Duration::from_millis(1),
                    chain: vec!["the breaker of `https://lms.test` is open".to_owned()],
                }
            } else {
                ack()
            }
        }
    });
    let _dispatcher = stage.start(vec![lms]).await;
    let id = stage.publish(1).await[0];
    stage.settled("lms.enrol").await;
    assert_eq!(calls.attempts_on(id), [1, 1, 1, 1]);
}

/// What an observer is told of breakers.
#[derive(Default)]
struct Told {
    opened: AtomicUsize,
    last: Mutex<Option<(String, BreakerState)>>,
}

impl Observer for Told {
    fn attempted(&self, _: &Attempted<'_>) {}

    fn stuck(&self, handler: &str, _: bool) {
        panic!("`{handler}` does not block");
    }

    fn breaker(&self, handler: &str, state: BreakerState) {
        if state == BreakerState::Open {
            self.opened.fetch_add(1, Ordering::SeqCst);
        }
        *self.last.lock().unwrap() = Some((handler.to_owned(), state));
    }
}
