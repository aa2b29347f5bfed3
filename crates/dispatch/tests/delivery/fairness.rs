//! Late retries never starve first tries.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use coordinator_context::HandlerTerms;
use coordinator_dispatch::DispatchOptions;
use coordinator_message::MessageId;
use tokio::sync::Semaphore;

use crate::stage::{Calls, Stage, ack, brisk, eventually, retry, target};

/// More messages fail again and again, each due within milliseconds, than the handler has slots or memory for.
async fn a_flood_of_retries(concurrency: u32) {
    let stage = Stage::new().await;
    let (calls, doomed) = (
        Calls::default(),
        Arc::new(Mutex::new(HashSet::<MessageId>::new())),
    );
    let (noted, failing) = (calls.clone(), Arc::clone(&doomed));
    let terms = HandlerTerms {
        concurrency,
        max_attempts: u32::MAX,
        ..brisk()
    };
    let lms = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        let fails = failing.lock().unwrap().contains(&delivery.message.id);
        async move {
            tokio::task::yield_now().await;
            if fails { retry("503") } else { ack() }
        }
    });
    let old = stage.publish(600).await;
    doomed.lock().unwrap().extend(old.iter().copied());
    let options = DispatchOptions {
        max_in_memory: 64,
        ..DispatchOptions::default()
    };
    let _dispatcher = stage.start_with(options, vec![lms]).await;
    calls.reach(900).await;
    for _ in 0..3 {
        for id in stage.publish(20).await {
            eventually("a first try in the flood", async || {
                (!calls.attempts_on(id).is_empty()).then_some(())
            })
            .await;
        }
    }
    doomed.lock().unwrap().clear();
    stage.settled("lms.enrol").await;
}

#[tokio::test]
async fn first_tries_get_through_a_flood_of_retries_with_one_slot() {
    a_flood_of_retries(1).await;
}

#[tokio::test]
async fn first_tries_get_through_a_flood_of_retries_with_sixteen_slots() {
    a_flood_of_retries(16).await;
}

#[tokio::test]
async fn more_hanging_retries_than_fit_into_memory_leave_slots_for_first_tries() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let (release, hanging) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let doomed = Arc::new(Mutex::new(HashSet::<MessageId>::new()));
    let (noted, held, stuck, failing) = (
        calls.clone(),
        Arc::clone(&release),
        Arc::clone(&hanging),
        Arc::clone(&doomed),
    );
    let terms = HandlerTerms {
        concurrency: 4,
        ..brisk()
    };
    let lms = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        let (held, stuck) = (Arc::clone(&held), Arc::clone(&stuck));
        let fails = failing.lock().unwrap().contains(&delivery.message.id);
        async move {
            if delivery.attempt > 1 {
                stuck.fetch_add(1, Ordering::SeqCst);
                drop(held.acquire().await);
                return ack();
            }
            if fails { retry("503") } else { ack() }
        }
    });
    let old = stage.publish(100).await;
    doomed.lock().unwrap().extend(old);
    let options = DispatchOptions {
        max_in_memory: 4,
        ..DispatchOptions::default()
    };
    let _dispatcher = stage.start_with(options, vec![lms]).await;
    calls.reach(100 + 3).await;
    for id in stage.publish(40).await {
        eventually("a first try beside the retries that hang", async || {
            (!calls.attempts_on(id).is_empty()).then_some(())
        })
        .await;
    }
    assert_eq!(
        hanging.load(Ordering::SeqCst),
        3,
        "retries keep to their share"
    );
    release.add_permits(1);
    stage.settled("lms.enrol").await;
}
