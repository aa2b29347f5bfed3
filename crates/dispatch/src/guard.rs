//! The breaker of a handler while it runs: real time, real dice, and everybody is told what changes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coordinator_context::BreakerTerms;
use coordinator_message::MessageId;
use tracing::{info, warn};

use crate::breaker::{Breaker, Change, Gate, Tried, Why};
use crate::observe::{BreakerState, Observer};

/// A breaker, or none.
pub(crate) struct Guard(Mutex<Option<Breaker>>);

impl Guard {
    pub(crate) fn new(terms: Option<&BreakerTerms>) -> Self {
        Self(Mutex::new(terms.map(|terms| Breaker::new(terms.clone()))))
    }

    /// Begins anew, closed, under these terms.
    pub(crate) fn follow(
        &self,
        handler: &str,
        terms: Option<&BreakerTerms>,
        observer: &dyn Observer,
    ) {
        let mut breaker = self.breaker();
        let was_closed = breaker
            .as_ref()
            .is_none_or(|breaker| breaker.gate(Instant::now()) == Gate::Pass);
        *breaker = terms.map(|terms| Breaker::new(terms.clone()));
        if !was_closed {
            tell(handler, Change::Closed, Instant::now(), observer);
        }
    }

    /// Whether an attempt may begin now.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        self.breaker()
            .as_ref()
            .map_or(Gate::Pass, |breaker| breaker.gate(now))
    }

    /// An attempt begins; whether it is a probe.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        self.breaker()
            .as_mut()
            .is_some_and(|breaker| breaker.begin(now))
    }

    /// An attempt of `handler` ended.
    pub(crate) fn ended(
        &self,
        handler: &str,
        probe: bool,
        tried: Tried,
        message: MessageId,
        observer: &dyn Observer,
    ) {
        let now = Instant::now();
        // Told with the breaker held, so that two changes are told in their order.
        let mut breaker = self.breaker();
        let Some(breaker) = breaker.as_mut() else {
            return;
        };
        if let Some(change) = breaker.ended(probe, tried, message, now, rand::random()) {
            tell(handler, change, now, observer);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Option<Breaker>> {
        // Its methods do not panic between two writes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(handler: &str, change: Change, now: Instant, observer: &dyn Observer) {
    match change {
        Change::Opened { until, why } => {
            let open_for = until.saturating_duration_since(now);
            let why = match why {
                Why::Failures(count) => format!("{count} attempts in a row failed"),
                Why::Panics(count) => format!("it panicked on {count} messages in a row"),
                Why::Probe => "another try failed".to_owned(),
                Why::Deferred(count) => {
                    format!("{count} attempts in a row met an open breaker of what it calls")
                }
            };
            warn!(
                handler.name = handler,
                breaker = "open",
                open_ms = millis(open_for),
                "handler `{handler}` is not tried for {} ms: {why}; its deliveries wait, and use up no attempts",
                millis(open_for),
            );
            observer.breaker(handler, BreakerState::Open);
        }
        Change::Closed => {
            info!(
                handler.name = handler,
                breaker = "closed",
                "handler `{handler}` works again",
            );
            observer.breaker(handler, BreakerState::Closed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
