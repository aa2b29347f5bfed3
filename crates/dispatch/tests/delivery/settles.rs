//! A journal that cannot be written: verdicts wait, handlers do not run again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coordinator_dispatch::{DispatchOptions, Dispatcher};
use coordinator_journal::Journal;

use crate::faulty::Faulty;
use crate::stage::{Calls, Stage, ack, brisk, eventually, steady, target};

async fn start(journal: &Arc<Faulty>, calls: &Calls) -> Dispatcher {
    let journal = Arc::clone(journal) as Arc<dyn Journal>;
    Dispatcher::start(
        DispatchOptions::default(),
        journal,
        vec![steady("lms.enrol", calls)],
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn verdicts_outlive_a_journal_that_cannot_be_written_and_no_handler_runs_twice() {
    let stage = Stage::new().await;
    let (journal, calls) = (Faulty::around(&stage.journal), Calls::default());
    journal.down.store(true, Ordering::SeqCst);
    let _dispatcher = start(&journal, &calls).await;
    stage.publish(50).await;
    calls.reach(50).await;
    let failures = || journal.failures.load(Ordering::SeqCst);
    eventually("writes to fail", async || (failures() >= 4).then_some(())).await;
    journal.down.store(false, Ordering::SeqCst);
    stage.settled("lms.enrol").await;
    assert_eq!(calls.all().len(), 50);
}

#[tokio::test]
async fn a_verdict_that_the_journal_refuses_does_not_hold_up_the_others() {
    let stage = Stage::new().await;
    let (journal, calls) = (Faulty::around(&stage.journal), Calls::default());
    journal.refused.store(7, Ordering::SeqCst);
    let _dispatcher = start(&journal, &calls).await;
    stage.publish(50).await;
    calls.reach(50).await;
    eventually("all but one", async || {
        let stats = stage.journal.stats().await.unwrap();
        (stats.handlers[0].lag == 1).then_some(())
    })
    .await;
    journal.refused.store(0, Ordering::SeqCst);
    stage.settled("lms.enrol").await;
    assert_eq!(calls.all().len(), 50);
}

#[tokio::test]
async fn a_drain_gives_up_on_a_journal_that_stays_down_and_says_so() {
    let stage = Stage::new().await;
    let (journal, calls) = (Faulty::around(&stage.journal), Calls::default());
    journal.down.store(true, Ordering::SeqCst);
    let dispatcher = start(&journal, &calls).await;
    stage.publish(5).await;
    calls.reach(5).await;
    let report = dispatcher.drain(Duration::from_millis(10)).await;
    assert_eq!(report.unsettled, 5);

    drop((journal, dispatcher));
    let stage = stage.restart().await;
    let again = Calls::default();
    let noted = again.clone();
    let _dispatcher = stage
        .start(vec![target("lms.enrol", brisk(), move |delivery| {
            noted.note(&delivery);
            async { ack() }
        })])
        .await;
    stage.settled("lms.enrol").await;
    assert_eq!(again.all().len(), 5);
}
