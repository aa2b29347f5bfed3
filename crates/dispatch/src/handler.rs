//! One handler while it runs: what the feed, the watchdog and the operator share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coordinator_context::{HandlerTerms, Target};
use coordinator_journal::HandlerSpec;
use coordinator_message::{MessageId, MessageType};
use tokio::sync::Notify;

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
    paused: AtomicBool,
    /// Wakes the feed when `paused` changed.
    pub(crate) changed: Notify,
    pub(crate) running: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
}

impl Handler {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        Self {
            spec: target.spec(),
            terms: target.terms(),
            target,
            watch: PollWatch::default(),
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
        usize::try_from(self.terms.concurrency)
            .unwrap_or(usize::MAX)
            .max(1)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.changed.notify_one();
    }

    pub(crate) fn status(&self) -> HandlerStatus {
        let stuck_on = self.watch.stuck_on();
        let state = match (stuck_on, self.is_paused()) {
            (Some(_), _) => HandlerState::Stuck,
            (None, true) => HandlerState::Paused,
            (None, false) => HandlerState::Running,
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
