//! One handler while it runs: what the feed, the watchdog and the operator share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use coordinator_context::{HandlerTerms, Target};
use coordinator_journal::HandlerSpec;
use coordinator_message::{MessageId, MessageType, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::breaker::Gate;
use crate::guard::Guard;
use crate::watch::PollWatch;

/// A handler as operators see it.
#[derive(Debug, Clone)]
pub struct HandlerStatus {
    /// `instance.handler`.
    pub id: String,
    /// The types it is bound to.
    pub types: Vec<MessageType>,
    /// What it is doing.
    pub state: HandlerState,
    /// Deliveries it is running.
    pub running: usize,
    /// Deliveries that wait in memory for a slot.
    pub waiting: usize,
    /// The message that it is stuck on.
    pub stuck_on: Option<MessageId>,
    /// The terms it is run under.
    pub terms: HandlerTerms,
}

/// State of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerState {
    /// It takes deliveries.
    Running,
    /// An operator paused it: what runs is finished, nothing new is taken.
    Paused,
    /// Its breaker is open: so much failed that nothing is tried before then. Deliveries wait and use up no attempts.
    Open {
        /// When the next one is tried.
        until: Timestamp,
    },
    /// Its breaker lets one delivery through, which decides.
    HalfOpen,
    /// It blocks its thread beyond its timeout. Nothing of it runs until the thread comes back; then it goes on by
    /// itself, and the blocked attempt has counted. So a message that always blocks uses up its attempts and
    /// becomes a dead letter, instead of keeping the handler down until somebody looks.
    Stuck,
}

/// A handler while it runs.
pub(crate) struct Handler {
    pub(crate) spec: HandlerSpec,
    pub(crate) terms: HandlerTerms,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) watch: PollWatch,
    pub(crate) guard: Guard,
    /// Places for verdicts that are not written yet: on a slow disk, what may run again after a kill.
    pub(crate) unsettled: Arc<Semaphore>,
    paused: AtomicBool,
    /// Wakes the feed when `paused` changed.
    pub(crate) changed: Notify,
    pub(crate) running: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
}

/// Verdicts of one handler that may wait to be written, for each delivery that may run at once. While so many wait,
/// attempts that ended keep their slots. Fewer would cost throughput: they are written together.
const UNSETTLED_PER_SLOT: usize = 32;

impl Handler {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        let terms = target.terms();
        let slots = slots(&terms);
        let places = slots.saturating_mul(UNSETTLED_PER_SLOT);
        Self {
            spec: target.spec(),
            guard: Guard::new(terms.breaker.as_ref()),
            terms,
            target,
            watch: PollWatch::default(),
            unsettled: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            paused: AtomicBool::new(false),
            changed: Notify::new(),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.spec.id
    }

    /// Calls that may run at once.
    pub(crate) fn concurrency(&self) -> usize {
        slots(&self.terms)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.changed.notify_one();
    }

    pub(crate) fn status(&self, now: Timestamp) -> HandlerStatus {
        let stuck_on = self.watch.stuck_on();
        let state = match self.guard.gate(Instant::now()) {
            _ if stuck_on.is_some() => HandlerState::Stuck,
            _ if self.is_paused() => HandlerState::Paused,
            Gate::Pass => HandlerState::Running,
            Gate::Wait(Some(until)) => HandlerState::Open {
                until: now.after(until.saturating_duration_since(Instant::now())),
            },
            Gate::Probe | Gate::Wait(None) => HandlerState::HalfOpen,
        };
        HandlerStatus {
            id: self.spec.id.clone(),
            types: self.spec.types.clone(),
            state,
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            stuck_on,
            terms: self.terms.clone(),
        }
    }
}

fn slots(terms: &HandlerTerms) -> usize {
    usize::try_from(terms.concurrency)
        .unwrap_or(usize::MAX)
        .max(1)
}
