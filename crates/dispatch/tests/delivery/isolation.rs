//! A handler that misbehaves costs the others nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use coordinator_context::{HandlerTerms, Target};
use coordinator_dispatch::{DispatchOptions, HandlerState};
use coordinator_journal::FailureKind;
use tokio::sync::Notify;

use crate::stage::{Calls, Stage, ack, brisk, in_state, retry, status, steady, target};

/// Blocks whoever passes, until the test opens it. Never for longer than half a minute.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let shut = self.open.lock().unwrap();
        drop(
            self.opened
                .wait_timeout_while(shut, Duration::from_secs(30), |open| !*open)
                .unwrap(),
        );
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn hasty() -> HandlerTerms {
    HandlerTerms {
        timeout: Duration::from_millis(50),
        ..brisk()
    }
}

/// A handler that blocks its thread at `gate`, and counts how often it is being blocked.
fn blocking(
    id: &str,
    terms: HandlerTerms,
    gate: &Arc<Gate>,
    blocked: &Arc<AtomicUsize>,
) -> Arc<dyn Target> {
    let (gate, blocked) = (Arc::clone(gate), Arc::clone(blocked));
    target(id, terms, move |_| {
        let (gate, blocked) = (Arc::clone(&gate), Arc::clone(&blocked));
        async move {
            blocked.fetch_add(1, Ordering::SeqCst);
            gate.pass();
            retry("was blocked")
        }
    })
}

#[tokio::test]
async fn a_handler_that_panics_ends_in_the_dead_letters_and_others_keep_their_pace() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let panics = target("bad.panics", brisk(), |_| async {
        panic!("this panic is part of a test")
    });
    let dispatcher = stage
        .start(vec![panics, steady("good.steady", &calls)])
        .await;
    stage.publish(20).await;
    calls.reach(20).await;
    let dead = stage.dead(20).await;
    for letter in &dead {
        assert_eq!(
            (letter.attempts, letter.failure.kind),
            (3, FailureKind::Panic)
        );
        assert_eq!(
            letter.failure.chain,
            ["panicked: this panic is part of a test"]
        );
    }
    assert_eq!(calls.all().len(), 20);
    assert_eq!(
        status(&dispatcher, "bad.panics").state,
        HandlerState::Running
    );
}

#[tokio::test]
async fn a_target_that_panics_before_it_answers_anything_is_caught_too() {
    let stage = Stage::new().await;
    let panics = target("bad.panics", brisk(), |_| -> std::future::Ready<_> {
        panic!("part of a test")
    });
    let _dispatcher = stage.start(vec![panics]).await;
    stage.publish(1).await;
    assert_eq!(stage.dead(1).await[0].failure.kind, FailureKind::Panic);
}

#[tokio::test]
async fn a_handler_that_never_completes_times_out_and_others_keep_their_pace() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let terms = HandlerTerms {
        max_attempts: 2,
        ..hasty()
    };
    let hangs = target("bad.hangs", terms, |_| std::future::pending());
    let _dispatcher = stage
        .start(vec![hangs, steady("good.steady", &calls)])
        .await;
    stage.publish(40).await;
    calls.reach(40).await;
    for letter in stage.dead(40).await {
        assert_eq!(
            (letter.attempts, letter.failure.kind),
            (2, FailureKind::Timeout)
        );
    }
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_is_stuck_and_others_keep_their_pace() {
    let stage = Stage::new().await;
    let (gate, blocked, calls) = (Arc::new(Gate::default()), Arc::default(), Calls::default());
    let terms = HandlerTerms {
        max_attempts: 2,
        ..hasty()
    };
    let bad = blocking("bad.blocks", terms, &gate, &blocked);
    let dispatcher = stage.start(vec![bad, steady("good.steady", &calls)]).await;
    let first = stage.publish(1).await[0];
    let stuck = in_state(&dispatcher, "bad.blocks", HandlerState::Stuck).await;
    assert_eq!(stuck.stuck_on, Some(first));

    stage.publish(200).await;
    calls.reach(201).await;
    stage.settled("good.steady").await;
    assert_eq!(
        blocked.load(Ordering::SeqCst),
        1,
        "nothing of a stuck handler begins"
    );
    assert_eq!(status(&dispatcher, "bad.blocks").state, HandlerState::Stuck);

    gate.open();
    in_state(&dispatcher, "bad.blocks", HandlerState::Running).await;
    stage.dead(201).await;
}

#[tokio::test]
async fn a_blocked_attempt_counts_as_timed_out_until_it_is_a_dead_letter() {
    let stage = Stage::new().await;
    let terms = HandlerTerms {
        max_attempts: 3,
        timeout: Duration::from_millis(10),
        ..brisk()
    };
    let blocks = target("bad.blocks", terms, |_| async {
        std::thread::sleep(Duration::from_millis(30));
        retry("too late")
    });
    let _dispatcher = stage.start(vec![blocks]).await;
    stage.publish(1).await;
    let dead = stage.dead(1).await;
    assert_eq!(
        (dead[0].attempts, dead[0].failure.kind),
        (3, FailureKind::Timeout)
    );
    assert!(
        dead[0].failure.chain[0].starts_with("blocked its thread for "),
        "{:?}",
        dead[0].failure.chain
    );
    assert_eq!(dead[0].failure.chain[1], "too late");
}

#[tokio::test]
async fn an_ack_that_comes_after_the_timeout_is_another_attempt() {
    let stage = Stage::new().await;
    let (gate, calls) = (Arc::new(Gate::default()), Calls::default());
    let (pass, noted) = (Arc::clone(&gate), calls.clone());
    let late = target("slow.acks", hasty(), move |delivery| {
        noted.note(&delivery);
        let gate = Arc::clone(&pass);
        async move {
            gate.pass();
            ack()
        }
    });
    let dispatcher = stage.start(vec![late]).await;
    let id = stage.publish(1).await[0];
    in_state(&dispatcher, "slow.acks", HandlerState::Stuck).await;
    gate.open();
    stage.settled("slow.acks").await;
    assert_eq!(calls.attempts_on(id), [1, 2]);
}

#[tokio::test]
async fn more_blocking_handlers_than_threads_leave_one_for_the_others() {
    let stage = Stage::new().await;
    let (gate, blocked, calls) = (Arc::new(Gate::default()), Arc::default(), Calls::default());
    let mut targets: Vec<_> = (0..8)
        .map(|number| blocking(&format!("bad.blocks{number}"), hasty(), &gate, &blocked))
        .collect();
    targets.push(steady("good.steady", &calls));
    let dispatcher = stage
        .start_with(
            DispatchOptions {
                threads: 1,
                ..DispatchOptions::default()
            },
            targets,
        )
        .await;
    stage.publish(30).await;
    for number in 0..8 {
        in_state(
            &dispatcher,
            &format!("bad.blocks{number}"),
            HandlerState::Stuck,
        )
        .await;
    }
    stage.publish(30).await;
    calls.reach(60).await;
    stage.settled("good.steady").await;
    assert_eq!(blocked.load(Ordering::SeqCst), 8);
    gate.open();
}

#[tokio::test]
async fn a_delivery_does_not_pay_for_the_time_that_another_one_blocked() {
    let stage = Stage::new().await;
    let (gate, done) = (Arc::new(Gate::default()), Arc::new(Notify::new()));
    let begun = Arc::new(AtomicUsize::new(0));
    let (pass, end) = (Arc::clone(&gate), Arc::clone(&done));
    let terms = HandlerTerms {
        max_attempts: 1,
        timeout: Duration::from_secs(1),
        ..brisk()
    };
    let mixed = target("mixed.handler", terms, move |_| {
        let (gate, done) = (Arc::clone(&pass), Arc::clone(&end));
        let blocks = begun.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            if blocks {
                gate.pass();
                done.notify_one();
                return retry("blocked");
            }
            done.notified().await;
            // Still something to do after its time was over.
            tokio::time::sleep(Duration::from_millis(5)).await;
            ack()
        }
    });
    let dispatcher = stage.start(vec![mixed]).await;
    stage.publish(2).await;
    in_state(&dispatcher, "mixed.handler", HandlerState::Stuck).await;
    gate.open();
    stage.settled("mixed.handler").await;
    assert_eq!(
        stage.dead_letters().await.len(),
        1,
        "only the one that blocked"
    );
}
