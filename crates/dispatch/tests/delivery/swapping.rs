//! Targets that take another's place while messages flow: nothing is lost, nothing is handled twice.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordinator_context::{HandlerTerms, Pass, Rate, Running, Target};
use coordinator_dispatch::HandlerState;
use coordinator_journal::{Delivery, HandlerSpec};
use tokio::sync::Semaphore;

use crate::stage::{
    Calls, FOLLOWED, Stage, ack, brisk, eventually, happened, in_state, retry, status, steady,
    target, target_of,
};

#[tokio::test]
async fn a_hundred_swaps_under_load_lose_nothing_and_double_nothing() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let dispatcher = stage.start(vec![steady("lms.enrol", &calls)]).await;
    let mut published = HashSet::new();
    for _ in 0..100 {
        published.extend(stage.publish(20).await);
        let leaving = dispatcher.apply(vec![steady("lms.enrol", &calls)]).await;
        assert_eq!(leaving.unwrap().drained(Duration::ZERO).await.cancelled, 0);
    }
    stage.settled("lms.enrol").await;
    let handled = calls.all();
    assert_eq!(handled.len(), published.len(), "each is handled once");
    let handled: HashSet<_> = handled.into_iter().map(|(id, _)| id).collect();
    assert_eq!(handled, published);
}

#[tokio::test]
async fn what_runs_ends_at_the_old_target_and_what_begins_is_the_new_ones() {
    let stage = Stage::new().await;
    let (old, new) = (Calls::default(), Calls::default());
    let gate = Arc::new(Semaphore::new(0));
    let held = {
        let (old, gate) = (old.clone(), Arc::clone(&gate));
        target("lms.enrol", brisk(), move |delivery| {
            let (old, gate) = (old.clone(), Arc::clone(&gate));
            async move {
                old.note(&delivery);
                gate.acquire().await.unwrap().forget();
                ack()
            }
        })
    };
    let dispatcher = stage.start(vec![held]).await;
    let first = stage.publish(1).await;
    old.reach(1).await;
    let leaving = dispatcher.apply(vec![steady("lms.enrol", &new)]).await;
    drop(leaving.unwrap());
    let second = stage.publish(1).await;
    new.reach(1).await;
    gate.add_permits(1);
    stage.settled("lms.enrol").await;
    assert_eq!(old.all(), [(first[0], 1)]);
    assert_eq!(new.all(), [(second[0], 1)]);
}

#[tokio::test]
async fn a_handler_that_leaves_finishes_what_runs_and_comes_back_where_it_was() {
    let stage = Stage::new().await;
    let (calls, other) = (Calls::default(), Calls::default());
    let dispatcher = stage
        .start(vec![
            steady("lms.enrol", &calls),
            steady("crm.note", &other),
        ])
        .await;
    stage.publish(50).await;
    calls.reach(1).await;
    let leaving = dispatcher.apply(vec![steady("crm.note", &other)]).await;
    let report = leaving.unwrap().drained(Duration::from_secs(30)).await;
    assert_eq!((report.cancelled, report.stuck.len()), (0, 0), "{report:?}");
    let before = calls.all().len();
    stage.publish(50).await;
    other.reach(100).await;
    assert_eq!(
        calls.all().len(),
        before,
        "it takes nothing while it is away"
    );
    let back = dispatcher
        .apply(vec![
            steady("crm.note", &other),
            steady("lms.enrol", &calls),
        ])
        .await;
    drop(back.unwrap());
    stage.settled("lms.enrol").await;
    let handled: HashSet<_> = calls.all().into_iter().map(|(id, _)| id).collect();
    assert_eq!((calls.all().len(), handled.len()), (100, 100));
}

#[tokio::test]
async fn a_handler_of_another_type_is_bound_anew_after_what_ran_is_settled() {
    let stage = Stage::new().await;
    let (happening, following) = (Calls::default(), Calls::default());
    let dispatcher = stage.start(vec![steady("lms.enrol", &happening)]).await;
    stage.publish(5).await;
    happening.reach(5).await;
    let other = {
        let following = following.clone();
        target_of(FOLLOWED, "lms.enrol", brisk(), move |delivery| {
            following.note(&delivery);
            async { ack() }
        })
    };
    drop(dispatcher.apply(vec![other]).await.unwrap());
    let message = happened(
        coordinator_message::MessageId::new(coordinator_message::Timestamp::now()),
        FOLLOWED,
    );
    stage.journal.publish(vec![message]).await.unwrap();
    following.reach(1).await;
    stage.settled("lms.enrol").await;
    assert_eq!(happening.all().len(), 5, "nothing was handled again");
    assert!(stage.dead_letters().await.is_empty());
}

#[tokio::test]
async fn new_terms_hold_for_what_begins_from_then_on() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let failing = |terms| {
        let calls = calls.clone();
        target("lms.enrol", terms, move |delivery| {
            calls.note(&delivery);
            async { retry("not yet") }
        })
    };
    let dispatcher = stage.start(vec![failing(brisk())]).await;
    let id = stage.publish(1).await[0];
    calls.reach(3).await;
    let last = HandlerTerms {
        max_attempts: 5,
        concurrency: 3,
        rate: Some(Rate {
            count: 1_000,
            per: Duration::from_secs(1),
        }),
        ..brisk()
    };
    drop(dispatcher.apply(vec![failing(last)]).await.unwrap());
    assert_eq!(stage.dead(1).await.len(), 1);
    let attempts = calls.attempts_on(id).len();
    assert!(attempts >= 5, "{attempts}");
    let terms = status(&dispatcher, "lms.enrol").terms;
    assert_eq!((terms.concurrency, terms.max_attempts), (3, 5));
}

#[tokio::test]
async fn a_new_target_begins_with_a_closed_breaker() {
    let stage = Stage::new().await;
    let terms = HandlerTerms {
        breaker: Some(coordinator_context::BreakerTerms {
            failures: 3,
            messages: 1,
            open_min: Duration::from_secs(600),
            open_max: Duration::from_secs(600),
            ..Default::default()
        }),
        ..brisk()
    };
    let failing = target("lms.enrol", terms, |_| async { retry("always") });
    let dispatcher = stage.start(vec![failing]).await;
    stage.publish(5).await;
    eventually("the breaker to open", async || {
        let state = status(&dispatcher, "lms.enrol").state;
        matches!(state, HandlerState::Open { .. }).then_some(())
    })
    .await;
    let mended = Calls::default();
    let leaving = dispatcher.apply(vec![steady("lms.enrol", &mended)]).await;
    drop(leaving.unwrap());
    in_state(&dispatcher, "lms.enrol", HandlerState::Running).await;
    stage.settled("lms.enrol").await;
    assert_eq!(mended.all().len(), 5);
}

/// A target whose end has begun as soon as it is told so.
struct Ending {
    inner: Arc<dyn Target>,
    ended: Arc<AtomicBool>,
}

impl Target for Ending {
    fn spec(&self) -> HandlerSpec {
        self.inner.spec()
    }

    fn terms(&self) -> HandlerTerms {
        self.inner.terms()
    }

    fn enter(&self) -> Option<Pass> {
        (!self.ended.load(Ordering::SeqCst)).then(Pass::unbounded)
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        assert!(!self.ended.load(Ordering::SeqCst), "called after its end");
        self.inner.deliver(delivery)
    }
}

#[tokio::test]
async fn a_target_that_has_ended_is_not_called_and_its_deliveries_are_not_counted() {
    let stage = Stage::new().await;
    let (old, new) = (Calls::default(), Calls::default());
    let ended = Arc::new(AtomicBool::new(true));
    let ending = Ending {
        inner: steady("lms.enrol", &old),
        ended,
    };
    let dispatcher = stage.start(vec![Arc::new(ending)]).await;
    let ids = stage.publish(3).await;
    let leaving = dispatcher.apply(vec![steady("lms.enrol", &new)]).await;
    drop(leaving.unwrap());
    stage.settled("lms.enrol").await;
    assert!(old.all().is_empty());
    for id in ids {
        assert_eq!(new.attempts_on(id), [1]);
    }
}
