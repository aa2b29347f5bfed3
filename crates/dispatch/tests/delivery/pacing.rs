//! Rates, and verdicts that wait: what keeps a handler from running ahead.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coordinator_context::{HandlerTerms, Rate};
use coordinator_dispatch::{DispatchOptions, Dispatcher, HandlerState};
use coordinator_journal::Journal;

use crate::faulty::Faulty;
use crate::stage::{Calls, Stage, ack, brisk, in_state, status, steady, target};

#[tokio::test]
async fn no_more_attempts_begin_within_a_time_than_the_rate_says() {
    let stage = Stage::new().await;
    let starts = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&starts);
    let per = Duration::from_millis(200);
    let terms = HandlerTerms {
        rate: Some(Rate { count: 5, per }),
        ..brisk()
    };
    let lms = target("lms.enrol", terms, move |_| {
        noted.lock().unwrap().push(Instant::now());
        async { ack() }
    });
    let others = Calls::default();
    let _dispatcher = stage.start(vec![lms, steady("crm.note", &others)]).await;
    stage.publish(23).await;
    stage.settled("lms.enrol").await;
    others.reach(23).await;
    let starts = starts.lock().unwrap().clone();
    assert_eq!(starts.len(), 23);
    for pair in starts.windows(6) {
        // An attempt is counted a moment before the handler sees it.
        let apart = pair[5] - pair[0] + Duration::from_millis(20);
        assert!(apart >= per, "six starts within {apart:?}");
    }
}

#[tokio::test]
async fn what_waits_for_its_rate_takes_no_slot() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let noted = calls.clone();
    let terms = HandlerTerms {
        rate: Some(Rate {
            count: 3,
            per: Duration::from_secs(3600),
        }),
        ..brisk()
    };
    let lms = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        async { ack() }
    });
    let dispatcher = stage.start(vec![lms]).await;
    stage.publish(10).await;
    calls.reach(3).await;
    let waits = crate::stage::eventually("what runs to end", async || {
        let status = status(&dispatcher, "lms.enrol");
        (status.running == 0 && status.waiting > 0).then_some(status)
    })
    .await;
    assert_eq!(waits.state, HandlerState::Running);
    assert_eq!(calls.all().len(), 3);
}

async fn start(
    journal: &Arc<Faulty>,
    targets: Vec<Arc<dyn coordinator_context::Target>>,
) -> Dispatcher {
    let options = DispatchOptions {
        sample_every: Duration::from_millis(5),
        ..DispatchOptions::default()
    };
    let journal = Arc::clone(journal) as Arc<dyn Journal>;
    Dispatcher::start(options, journal, targets).await.unwrap()
}

#[tokio::test]
async fn while_verdicts_cannot_be_written_a_handler_runs_only_so_far_ahead() {
    let stage = Stage::new().await;
    let journal = Faulty::around(&stage.journal);
    journal.down.store(true, Ordering::SeqCst);
    let (narrow, wide) = (Calls::default(), Calls::default());
    let acks = |id, concurrency, calls: &Calls| {
        let noted = calls.clone();
        let terms = HandlerTerms {
            concurrency,
            ..brisk()
        };
        target(id, terms, move |delivery| {
            noted.note(&delivery);
            async { ack() }
        })
    };
    let dispatcher = start(
        &journal,
        vec![acks("crm.narrow", 2, &narrow), acks("crm.wide", 32, &wide)],
    )
    .await;
    stage.publish(500).await;
    wide.reach(500).await;
    narrow.reach(2 * 32 + 2).await;
    crate::stage::eventually("every slot to wait for a place", async || {
        (status(&dispatcher, "crm.narrow").running == 2).then_some(())
    })
    .await;
    assert_eq!(narrow.all().len(), 2 * 32 + 2);
    journal.down.store(false, Ordering::SeqCst);
    stage.settled("crm.narrow").await;
    stage.settled("crm.wide").await;
    assert_eq!((narrow.all().len(), wide.all().len()), (500, 500));
}

#[tokio::test]
async fn a_handler_that_another_node_pauses_is_paused_here_and_at_the_next_start() {
    let stage = Stage::new().await;
    let (journal, calls) = (Faulty::around(&stage.journal), Calls::default());
    let dispatcher = start(&journal, vec![steady("lms.enrol", &calls)]).await;
    journal.paused.store(true, Ordering::SeqCst);
    in_state(&dispatcher, "lms.enrol", HandlerState::Paused).await;
    dispatcher.drain(Duration::from_secs(30)).await;

    let dispatcher = start(&journal, vec![steady("lms.enrol", &calls)]).await;
    assert_eq!(status(&dispatcher, "lms.enrol").state, HandlerState::Paused);
    stage.publish(3).await;
    journal.paused.store(false, Ordering::SeqCst);
    in_state(&dispatcher, "lms.enrol", HandlerState::Running).await;
    stage.settled("lms.enrol").await;
    assert_eq!(calls.all().len(), 3);
}

#[tokio::test]
async fn what_waits_in_memory_when_a_handler_is_paused_goes_back_and_comes_again() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (noted, held) = (calls.clone(), Arc::clone(&gate));
    let terms = HandlerTerms {
        concurrency: 1,
        ..brisk()
    };
    let lms = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        let held = Arc::clone(&held);
        async move {
            drop(held.acquire().await);
            ack()
        }
    });
    let dispatcher = stage.start(vec![lms]).await;
    let ids = stage.publish(20).await;
    calls.reach(1).await;
    dispatcher.pause("lms.enrol").unwrap();
    crate::stage::eventually("memory to be empty", async || {
        (status(&dispatcher, "lms.enrol").waiting == 0).then_some(())
    })
    .await;
    gate.add_permits(1);
    dispatcher.resume("lms.enrol").unwrap();
    stage.settled("lms.enrol").await;
    for id in ids {
        assert_eq!(calls.attempts_on(id), [1]);
    }
}
