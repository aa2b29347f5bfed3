//! Handlers that are no longer in the wiring: what runs of them is finished. And those that are bound to other types: the
//! journal learns of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::DrainReport;
use crate::handler::Handler;
use crate::phase::Phase;
use crate::threads::Feed;

/// Cancelled attempts get this long to be dropped, beyond the patience that one has.
const CANCEL_GRACE: Duration = Duration::from_millis(250);

/// Handlers that take nothing new, and those that go on with other types. Dropping it cancels what the first still run.
#[must_use = "what runs is cancelled when this is dropped"]
pub struct Leaving {
    feeds: Vec<Feed>,
    rebound: Vec<Arc<Handler>>,
}

impl Leaving {
    /// `feeds` take nothing new from here on.
    pub(crate) fn new(feeds: Vec<Feed>, rebound: Vec<Arc<Handler>>) -> Self {
        for feed in &feeds {
            feed.phase.send_replace(Phase::Draining);
        }
        Self { feeds, rebound }
    }

    pub(crate) fn into_feeds(self) -> Vec<Feed> {
        self.feeds
    }

    /// Waits up to `patience` for what runs and for its verdicts to be written, and cancels the rest, which is
    /// delivered again when the handler comes back; and for the journal to bind the others to their types. One that it
    /// has not bound by then goes on trying.
    pub async fn drained(self, patience: Duration) -> DrainReport {
        let handlers: Vec<_> = self.feeds.iter().map(|feed| feed.handler.clone()).collect();
        let deadline = Instant::now() + patience;
        let (report, ()) = tokio::join!(end(self.feeds, deadline), bound(&self.rebound, deadline));
        for handler in handlers {
            // A journal that is away takes them later; if the handler is back by then, they run again.
            let _ = timeout_at(deadline, handler.settled()).await;
            info!(
                handler.name = handler.id(),
                "handler `{}` is closed",
                handler.id()
            );
        }
        report
    }
}

/// Waits until `deadline` for the journal to know handlers as they are bound.
async fn bound(handlers: &[Arc<Handler>], deadline: Instant) {
    for handler in handlers {
        if timeout_at(deadline, handler.as_bound()).await.is_err() {
            warn!(
                handler.name = handler.id(),
                "`{}` is not bound to its types yet: it is when what runs has ended and the journal takes it",
                handler.id()
            );
        }
    }
}

/// Waits until `deadline` for what runs, then cancels it.
pub(crate) async fn end(feeds: Vec<Feed>, deadline: Instant) -> DrainReport {
    let mut report = DrainReport::default();
    let late = gather(feeds, deadline, &mut report).await;
    for feed in &late {
        feed.phase.send_replace(Phase::Cancelling);
    }
    let stuck = gather(late, Instant::now() + CANCEL_GRACE, &mut report).await;
    let ids = stuck.iter().map(|feed| feed.handler.id().to_owned());
    report.stuck = ids.collect();
    let running = stuck
        .iter()
        .map(|feed| feed.handler.running.load(Ordering::Relaxed));
    report.cancelled += running.sum::<usize>();
    report
}

/// Waits until `deadline` for feeds to end and adds what they say to `report`. Returns those that did not end.
async fn gather(feeds: Vec<Feed>, deadline: Instant, report: &mut DrainReport) -> Vec<Feed> {
    let mut late = Vec::new();
    for mut feed in feeds {
        match timeout_at(deadline, &mut feed.ending).await {
            Ok(fed) => {
                let fed = fed.unwrap_or_default();
                report.finished += fed.finished;
                report.cancelled += fed.cancelled;
            }
            Err(_) => late.push(feed),
        }
    }
    late
}
