//! Ending: what was begun is finished or begun again, and nothing else twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator_context::HandlerTerms;
use coordinator_dispatch::{DrainReport, HandlerState};
use tokio::sync::Notify;

use crate::stage::{Calls, Stage, ack, brisk, eventually, in_state, status, steady, target};

#[tokio::test]
async fn a_drain_waits_for_what_runs_and_takes_nothing_new() {
    let stage = Stage::new().await;
    let (calls, proceed) = (Calls::default(), Arc::new(Notify::new()));
    let (noted, go) = (calls.clone(), Arc::clone(&proceed));
    let terms = HandlerTerms {
        concurrency: 4,
        ..brisk()
    };
    let waits = target("lms.enrol", terms, move |delivery| {
        noted.note(&delivery);
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            ack()
        }
    });
    let dispatcher = stage.start(vec![waits]).await;
    stage.publish(20).await;
    calls.reach(4).await;
    let finish = async {
        for left in (0..4).rev() {
            proceed.notify_one();
            eventually("one to end", async || {
                (status(&dispatcher, "lms.enrol").running == left).then_some(())
            })
            .await;
        }
    };
    // The drain is polled first, so it has begun when the first one is let go.
    let (report, ()) = tokio::join!(biased; dispatcher.drain(Duration::from_secs(30)), finish);
    assert_eq!(
        report,
        DrainReport {
            finished: 4,
            ..DrainReport::default()
        }
    );
    assert_eq!(calls.all().len(), 4);

    let stage = stage.restart().await;
    let rest = Calls::default();
    let _dispatcher = stage.start(vec![steady("lms.enrol", &rest)]).await;
    rest.reach(16).await;
    stage.settled("lms.enrol").await;
    assert_eq!(rest.all().len(), 16);
}

#[tokio::test]
async fn only_what_was_in_flight_at_the_end_is_delivered_twice() {
    let stage = Stage::new().await;
    let calls = Calls::default();
    let noted = calls.clone();
    let every_tenth_hangs = target(
        "lms.enrol",
        HandlerTerms {
            concurrency: 64,
            ..brisk()
        },
        move |delivery| {
            noted.note(&delivery);
            let hangs = noted.all().len().is_multiple_of(10);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                ack()
            }
        },
    );
    let dispatcher = stage.start(vec![every_tenth_hangs]).await;
    let ids = stage.publish(200).await;
    calls.reach(200).await;
    eventually("the others to end", async || {
        (status(&dispatcher, "lms.enrol").running == 20).then_some(())
    })
    .await;
    let report = dispatcher.drain(Duration::ZERO).await;
    assert_eq!(
        (report.cancelled, report.unsettled, report.stuck.len()),
        (20, 0, 0)
    );

    let stage = stage.restart().await;
    let _dispatcher = stage.start(vec![steady("lms.enrol", &calls)]).await;
    calls.reach(220).await;
    stage.settled("lms.enrol").await;
    let mut times: HashMap<_, usize> = HashMap::new();
    for (id, attempt) in calls.all() {
        assert_eq!(attempt, 1, "a cancelled attempt does not count");
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), ids.len());
    assert_eq!(times.values().filter(|times| **times == 2).count(), 20);
    assert_eq!(calls.all().len(), 220);
}

#[tokio::test]
async fn a_drain_leaves_a_blocked_thread_behind_and_names_its_handler() {
    let stage = Stage::new().await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let terms = HandlerTerms {
        timeout: Duration::from_millis(20),
        ..brisk()
    };
    let blocks = target("bad.blocks", terms, move |_| {
        let blocked = Arc::clone(&blocked);
        async move {
            let _ = blocked
                .lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(30));
            ack()
        }
    });
    let dispatcher = stage.start(vec![blocks]).await;
    stage.publish(1).await;
    in_state(&dispatcher, "bad.blocks", HandlerState::Stuck).await;
    let report = dispatcher.drain(Duration::from_millis(10)).await;
    assert_eq!(report.stuck, ["bad.blocks"]);
    assert_eq!(report.cancelled, 1);
    assert_eq!(
        dispatcher.drain(Duration::from_secs(30)).await,
        DrainReport::default()
    );
    drop(release);
}
