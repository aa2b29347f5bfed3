//! One handler while it runs: what the feed, the watchdog and the operator share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use coordinator_context::{HandlerTerms, Target};
use coordinator_journal::HandlerSpec;
use coordinator_message::{MessageId, MessageType, Timestamp};
use tokio::sync::{Notify, Semaphore, watch};

use crate::Observer;
use crate::bound::{Bound, Held};
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
    id: String,
    bound: ArcSwap<Bound>,
    /// As the journal has opened it last.
    opened: watch::Sender<Arc<HandlerSpec>>,
    pub(crate) watch: PollWatch,
    pub(crate) guard: Guard,
    /// Places for verdicts that are not written yet: on a slow disk, what may run again after a kill.
    pub(crate) unsettled: Arc<Semaphore>,
    places: AtomicUsize,
    paused: AtomicBool,
    /// Wakes the feed when `paused` changed, or what it is bound to.
    pub(crate) changed: Notify,
    pub(crate) running: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
}

/// Verdicts of one handler that may wait to be written, for each delivery that may run at once. While so many wait,
/// attempts that ended keep their slots. Fewer would cost throughput: they are written together.
const UNSETTLED_PER_SLOT: usize = 32;
/// As many as can be waited for at once.
const MOST_UNSETTLED: usize = u32::MAX as usize >> 4;

impl Handler {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        let bound = Bound::new(target);
        let places = places(&bound);
        Self {
            id: bound.spec.id.clone(),
            guard: Guard::new(bound.terms.breaker.as_ref()),
            opened: watch::Sender::new(bound.spec.clone()),
            bound: ArcSwap::from_pointee(bound),
            watch: PollWatch::default(),
            unsettled: Arc::new(Semaphore::new(places)),
            places: AtomicUsize::new(places),
            paused: AtomicBool::new(false),
            changed: Notify::new(),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What it is bound to just now.
    pub(crate) fn bound(&self) -> Arc<Bound> {
        self.bound.load_full()
    }

    /// How the journal is to know it.
    pub(crate) fn spec(&self) -> Arc<HandlerSpec> {
        Arc::clone(&self.bound.load().spec)
    }

    /// The journal has opened it like this.
    pub(crate) fn is_opened(&self, spec: Arc<HandlerSpec>) {
        self.opened.send_replace(spec);
    }

    /// Does the journal know it as it is bound just now?
    pub(crate) fn is_as_bound(&self) -> bool {
        *self.opened.borrow() == self.bound.load().spec
    }

    /// Waits until it does.
    pub(crate) async fn as_bound(&self) {
        let mut opened = self.opened.subscribe();
        let known = |opened: &Arc<HandlerSpec>| *opened == self.bound.load().spec;
        // Its sender lives as long as it does.
        let _ = opened.wait_for(known).await;
    }

    /// What it is bound to, kept from being stopped. `None` if its end has begun and nothing has taken its place.
    pub(crate) fn hold(&self) -> Option<Held> {
        loop {
            let bound = self.bound();
            let now = Arc::clone(&bound);
            if let Some(held) = Held::of(bound) {
                return Some(held);
            }
            // Replaced between the look and the entering: once more.
            if Arc::ptr_eq(&now, &self.bound.load()) {
                return None;
            }
        }
    }

    /// Attempts that begin from now on are for `target`, under its terms; those that run end under the old ones.
    /// What another target failed at is not held against this one.
    pub(crate) fn bind(&self, target: Arc<dyn Target>, observer: &dyn Observer) {
        if Arc::ptr_eq(&self.bound.load().target, &target) {
            return;
        }
        let bound = Bound::new(target);
        let (wanted, places) = (places(&bound), self.places.load(Ordering::Relaxed));
        if wanted > places {
            self.unsettled.add_permits(wanted - places);
            self.places.store(wanted, Ordering::Relaxed);
        }
        self.guard
            .follow(&self.id, bound.terms.breaker.as_ref(), observer);
        self.bound.store(Arc::new(bound));
        self.changed.notify_one();
    }

    /// Waits until the journal has every verdict of attempts that have ended.
    pub(crate) async fn settled(&self) {
        let places = self.places.load(Ordering::Relaxed);
        let all = u32::try_from(places).unwrap_or(u32::MAX);
        // Nobody closes it.
        let _ = self.unsettled.acquire_many(all).await;
    }

    /// Calls that may run at once.
    pub(crate) fn concurrency(&self) -> usize {
        self.bound.load().slots()
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
        let bound = self.bound.load();
        HandlerStatus {
            id: self.id.clone(),
            types: bound.spec.types.clone(),
            state,
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            stuck_on,
            terms: bound.terms.clone(),
        }
    }
}

fn places(bound: &Bound) -> usize {
    bound
        .slots()
        .saturating_mul(UNSETTLED_PER_SLOT)
        .min(MOST_UNSETTLED)
}
