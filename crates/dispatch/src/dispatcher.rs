//! The dispatcher: starts a feed per handler, swaps what they are for, answers operators, drains.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordinator_context::Target;
use coordinator_journal::{Clock, Journal, JournalError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::info;

use crate::attempt::Surroundings;
use crate::feed::{Opened, Opener};
use crate::handler::Handler;
use crate::leaving::{self, Leaving};
use crate::phase::Phase;
use crate::roster::Roster;
use crate::sampling::Sampling;
use crate::settling::Settler;
use crate::slots::Slots;
use crate::threads::{Feed, Reactor, start_feed};
use crate::watch::Watchdog;
use crate::{BreakerState, DispatchOptions, HandlerStatus, Observer};

/// Running handlers. Dropping it ends everything at once; [`Self::drain`] ends it in good order.
pub struct Dispatcher {
    roster: Arc<Roster>,
    phases: watch::Sender<Phase>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    opener: Opener,
    /// One change of the handlers at a time.
    applying: tokio::sync::Mutex<()>,
    works: Mutex<Option<Works>>,
}

/// What runs, until it is drained.
struct Works {
    reactor: Arc<Reactor>,
    around: Arc<Surroundings>,
    max_in_memory: usize,
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
    /// It was drained: the host is stopping.
    #[error("the dispatcher has ended")]
    Ended,
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

/// Verdicts get this long to be written, beyond the timeout of the drain.
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
        let opener = Opener {
            journal: Arc::clone(&journal),
            home: Handle::current(),
        };
        let opened = open(&opener, handlers(targets)?).await?;
        let (phases, phase) = watch::channel(Phase::Serving);
        let reactor = Reactor::start(options.threads.max(DispatchOptions::MIN_THREADS))?;
        let (settles, settler) =
            Settler::start(reactor.handle(), Arc::clone(&journal), phase.clone());
        let handlers = opened.iter().map(|(handler, _)| Arc::clone(handler));
        let roster = Arc::new(Roster::new(handlers.collect()));
        let observer = Arc::clone(&options.observer);
        let watchdog = Watchdog::start(Arc::clone(&roster), Arc::clone(&observer))?;
        // The first look comes before anything runs: what an operator has paused is paused from the start.
        Sampling::start(&options, &reactor, journal, Arc::clone(&roster), phase).await;
        let clock = Arc::clone(&options.clock);
        let around = Surroundings {
            clock: options.clock,
            redact: options.redact,
            observer: options.observer,
            settles,
        };
        let mut works = Works {
            reactor,
            around: Arc::new(around),
            max_in_memory: options.max_in_memory,
            feeds: Vec::new(),
            settler,
            _watchdog: watchdog,
        };
        works.feeds = works.feed(opened)?;
        Ok(Self {
            roster,
            phases,
            clock,
            observer,
            opener,
            applying: tokio::sync::Mutex::default(),
            works: Mutex::new(Some(works)),
        })
    }

    /// Makes these the targets. A handler that stays keeps its place in the journal: attempts that run end at the
    /// target that they began at, those that begin from now on are the new one's. A handler that is new is opened. One
    /// that is gone takes nothing new. It is to be waited for, and so is one that takes other types than before, for a type
    /// begins when the journal has bound it: see [`Leaving::drained`].
    ///
    /// A target that is the same `Arc` as before is left as it is.
    ///
    /// # Errors
    ///
    /// [`StartError`]; everything is as it was then.
    pub async fn apply(&self, targets: Vec<Arc<dyn Target>>) -> Result<Leaving, StartError> {
        let _alone = self.applying.lock().await;
        let wanted = handlers(targets)?;
        let (stays, new): (Vec<_>, Vec<_>) = wanted
            .iter()
            .partition(|handler| self.roster.find(handler.id()).is_some());
        let new = new.into_iter().map(Arc::clone).collect();
        let opened = open(&self.opener, new).await?;
        let mut works = self.works();
        let Some(works) = works.as_mut() else {
            return Err(StartError::Ended);
        };
        for (handler, _) in &opened {
            self.observer.breaker(handler.id(), BreakerState::Closed);
        }
        let feeds = works.feed(opened)?;
        // From here on nothing can fail.
        for handler in stays {
            if let Some(there) = self.roster.find(handler.id()) {
                there.bind(Arc::clone(&handler.bound().target), &*self.observer);
            }
        }
        let roster = wanted.into_iter().map(|handler| {
            let there = self.roster.find(handler.id());
            there.unwrap_or(handler)
        });
        let roster: Vec<_> = roster.collect();
        let is_there = |feed: &mut Feed| roster.iter().any(|it| it.id() == feed.handler.id());
        let rebound = roster.iter().filter(|handler| !handler.is_as_bound());
        let rebound = rebound.cloned().collect();
        let leaving = works.feeds.extract_if(.., |feed| !is_there(feed)).collect();
        works.feeds.extend(feeds);
        self.roster.replace(roster);
        Ok(Leaving::new(leaving, rebound))
    }

    /// Every handler and what it is doing, in the order of the targets.
    #[must_use]
    pub fn handlers(&self) -> Vec<HandlerStatus> {
        let now = self.clock.now();
        let all = self.roster.all();
        all.iter().map(|handler| handler.status(now)).collect()
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
        let works = self.works().take();
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
        let feeds = Leaving::new(feeds, Vec::new()).into_feeds();
        let mut report = leaving::end(feeds, deadline).await;
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

    fn handler(&self, id: &str) -> Result<Arc<Handler>, UnknownHandler> {
        let found = self.roster.find(id);
        found.ok_or_else(|| UnknownHandler(id.to_owned()))
    }

    fn works(&self) -> MutexGuard<'_, Option<Works>> {
        // Nothing panics between two writes.
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Works {
    /// Begins to feed handlers. If one cannot be fed, none is.
    fn feed(&self, opened: Vec<(Arc<Handler>, Opened)>) -> io::Result<Vec<Feed>> {
        let start = |(handler, opened): (Arc<Handler>, Opened)| {
            let around = Arc::clone(&self.around);
            let slots = Slots::new(Arc::clone(&handler), around, self.max_in_memory);
            start_feed(&self.reactor, handler, opened, slots)
        };
        opened.into_iter().map(start).collect()
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.phases.send_replace(Phase::Ended);
    }
}

/// A handler for each target.
fn handlers(targets: Vec<Arc<dyn Target>>) -> Result<Vec<Arc<Handler>>, StartError> {
    let handlers = targets
        .into_iter()
        .map(|target| Arc::new(Handler::new(target)));
    let handlers: Vec<_> = handlers.collect();
    let mut seen = HashSet::new();
    match handlers.iter().find(|handler| !seen.insert(handler.id())) {
        Some(twice) => Err(StartError::DuplicateHandler(twice.id().to_owned())),
        None => Ok(handlers),
    }
}

async fn open(
    opener: &Opener,
    handlers: Vec<Arc<Handler>>,
) -> Result<Vec<(Arc<Handler>, Opened)>, StartError> {
    let mut opened = Vec::with_capacity(handlers.len());
    for handler in handlers {
        let open = opener.open(handler.spec()).await;
        let open = open.map_err(|source| StartError::Open {
            handler: handler.id().to_owned(),
            source,
        })?;
        opened.push((handler, open));
    }
    Ok(opened)
}
