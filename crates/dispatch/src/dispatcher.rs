//! The dispatcher: starts a feed per handler, answers operators, drains.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coordinator_context::Target;
use coordinator_journal::{Clock, Deliveries, Journal, JournalError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::info;

use crate::attempt::Surroundings;
use crate::handler::Handler;
use crate::phase::Phase;
use crate::sampling::Sampling;
use crate::settling::Settler;
use crate::slots::Slots;
use crate::threads::{Feed, Reactor, start_feed};
use crate::watch::Watchdog;
use crate::{DispatchOptions, HandlerStatus};

/// Running handlers. Dropping it ends everything at once; [`Self::drain`] ends it in good order.
pub struct Dispatcher {
    handlers: Vec<Arc<Handler>>,
    phases: watch::Sender<Phase>,
    clock: Arc<dyn Clock>,
    works: Mutex<Option<Works>>,
}

/// What runs, until it is drained.
struct Works {
    reactor: Arc<Reactor>,
    feeds: Vec<Feed>,
    settler: Settler,
    _watchdog: Watchdog,
}

/// The dispatcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two targets have one id.
    #[error("two handlers are called `{0}`")]
    DuplicateHandler(String),
    /// The journal could not open a handler.
    #[error("failed to open handler `{handler}`")]
    Open {
        /// Which.
        handler: String,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// The operating system gave no threads.
    #[error("failed to start the threads of the dispatcher")]
    Threads(#[from] io::Error),
}

/// There is no such handler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no handler `{0}`\n(see `coordinator handlers list`)")]
pub struct UnknownHandler(pub String);

/// How a drain went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Attempts that ended during the drain.
    pub finished: usize,
    /// Attempts that were cancelled by the timeout; they are delivered again after the next start.
    pub cancelled: usize,
    /// Verdicts that the journal did not take; those deliveries run again after the next start.
    pub unsettled: usize,
    /// Handlers that blocked their thread to the end, which therefore could not be cancelled.
    pub stuck: Vec<String>,
}

/// Cancelled attempts get this long to be dropped, and verdicts to be written, beyond the timeout of the drain.
const CANCEL_GRACE: Duration = Duration::from_millis(250);
const WRITE_GRACE: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// Opens every target's handler in `journal` and begins to run them.
    ///
    /// Call it within the host's runtime: what the journal spawns when it opens a handler belongs there, apart from
    /// the threads that handlers run on.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub async fn start(
        options: DispatchOptions,
        journal: Arc<dyn Journal>,
        targets: Vec<Arc<dyn Target>>,
    ) -> Result<Self, StartError> {
        let opened = open(&*journal, targets).await?;
        let (phases, phase) = watch::channel(Phase::Serving);
        let reactor = Reactor::start(options.threads.max(DispatchOptions::MIN_THREADS))?;
        let (settles, settler) =
            Settler::start(reactor.handle(), Arc::clone(&journal), phase.clone());
        let handlers: Vec<_> = opened
            .iter()
            .map(|(handler, _)| Arc::clone(handler))
            .collect();
        let watchdog = Watchdog::start(handlers.clone(), Arc::clone(&options.observer))?;
        // The first look comes before anything runs: what an operator has paused is paused from the start.
        Sampling::start(&options, &reactor, journal, handlers.clone(), phase.clone()).await;
        let clock = Arc::clone(&options.clock);
        let around = Arc::new(Surroundings {
            clock: options.clock,
            redact: options.redact,
            observer: options.observer,
            settles,
        });
        let start = |(handler, deliveries): Opened| {
            let most = options.max_in_memory;
            let slots = Slots::new(Arc::clone(&handler), Arc::clone(&around), most);
            start_feed(&reactor, handler, deliveries, slots, phase.clone())
        };
        let feeds = opened
            .into_iter()
            .map(start)
            .collect::<Result<_, io::Error>>()?;
        let works = Works {
            reactor,
            feeds,
            settler,
            _watchdog: watchdog,
        };
        Ok(Self {
            handlers,
            phases,
            clock,
            works: Mutex::new(Some(works)),
        })
    }

    /// Every handler and what it is doing, in the order of the targets.
    #[must_use]
    pub fn handlers(&self) -> Vec<HandlerStatus> {
        let now = self.clock.now();
        self.handlers
            .iter()
            .map(|handler| handler.status(now))
            .collect()
    }

    /// Takes no new deliveries for this handler; what runs is finished, and what waits goes back to the journal.
    ///
    /// This is about this node and until it ends. What an operator wants goes to [`Journal::control`] first, which every
    /// node follows and no restart forgets; this makes it felt here at once.
    ///
    /// # Errors
    ///
    /// If there is no such handler.
    pub fn pause(&self, id: &str) -> Result<(), UnknownHandler> {
        self.handler(id)?.set_paused(true);
        info!(handler.name = id, "handler `{id}` is paused");
        Ok(())
    }

    /// Takes deliveries again; see [`Self::pause`]. A stuck handler goes on by itself once its thread comes back.
    ///
    /// # Errors
    ///
    /// If there is no such handler.
    pub fn resume(&self, id: &str) -> Result<(), UnknownHandler> {
        self.handler(id)?.set_paused(false);
        info!(handler.name = id, "handler `{id}` is resumed");
        Ok(())
    }

    /// Ends in good order: takes nothing new, waits up to `patience` for what runs, cancels the rest, writes the
    /// verdicts, and leaves threads that are still blocked behind. Takes little longer than `patience`; the journal
    /// must stay open until it returns. A second drain finds nothing to do.
    pub async fn drain(&self, patience: Duration) -> DrainReport {
        let works = self
            .works
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Works {
            reactor,
            feeds,
            mut settler,
            ..
        }) = works
        else {
            return DrainReport::default();
        };
        let deadline = Instant::now() + patience;
        self.phases.send_replace(Phase::Draining);
        let mut report = DrainReport::default();
        let late = gather(feeds, deadline, &mut report).await;
        self.phases.send_replace(Phase::Cancelling);
        let stuck = gather(late, Instant::now() + CANCEL_GRACE, &mut report).await;
        report.stuck = stuck
            .iter()
            .map(|feed| feed.handler.id().to_owned())
            .collect();
        report.cancelled += stuck
            .iter()
            .map(|feed| feed.handler.running.load(Ordering::Relaxed))
            .sum::<usize>();
        self.phases.send_replace(Phase::Closing);
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(WRITE_GRACE);
        // If it is late, what it has not written is in the report.
        let _ = timeout(patience, settler.ended()).await;
        self.phases.send_replace(Phase::Ended);
        report.unsettled = settler.unsettled();
        // A thread that is still blocked keeps the runtime; waiting for it would keep the host from ending.
        drop(reactor);
        info!(
            finished = report.finished,
            cancelled = report.cancelled,
            unsettled = report.unsettled,
            stuck = report.stuck.len(),
            "dispatch drained",
        );
        report
    }

    fn handler(&self, id: &str) -> Result<&Handler, UnknownHandler> {
        let found = self.handlers.iter().find(|handler| handler.id() == id);
        found
            .map(|handler| &**handler)
            .ok_or_else(|| UnknownHandler(id.to_owned()))
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.phases.send_replace(Phase::Ended);
    }
}

type Opened = (Arc<Handler>, Box<dyn Deliveries>);

async fn open(
    journal: &dyn Journal,
    targets: Vec<Arc<dyn Target>>,
) -> Result<Vec<Opened>, StartError> {
    let handlers: Vec<_> = targets
        .into_iter()
        .map(|target| Arc::new(Handler::new(target)))
        .collect();
    let mut seen = HashSet::new();
    if let Some(twice) = handlers
        .iter()
        .find(|handler| !seen.insert(handler.id().to_owned()))
    {
        return Err(StartError::DuplicateHandler(twice.id().to_owned()));
    }
    let mut opened = Vec::with_capacity(handlers.len());
    for handler in handlers {
        let deliveries =
            journal
                .open(handler.spec.clone())
                .await
                .map_err(|source| StartError::Open {
                    handler: handler.id().to_owned(),
                    source,
                })?;
        opened.push((handler, deliveries));
    }
    Ok(opened)
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
