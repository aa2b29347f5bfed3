//! One breaker for each origin that fails, shared by all plugins.
//!
//! In: an origin before each call, and the end of the call. Out: a leave to call, or how long to wait; a log line and
//! a gauge when a breaker opens or closes. An origin that answers takes no memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use coordinator_telemetry::metric;
use tracing::{info, warn};

use crate::breaker::{Breaker, BreakerOptions, Change, Ended, Permit};
use crate::{EgressError, EgressErrorKind, OutboundResponse};

/// Origins that fail and are remembered. Beyond it (a wildcard over a large domain) the others have no breaker.
const MAX_ORIGINS: usize = 1024;

/// All breakers.
#[derive(Clone)]
pub(crate) struct Rests {
    options: Arc<BreakerOptions>,
    failing: Arc<Mutex<HashMap<String, Breaker>>>,
}

/// The leave to make one call; tell its end, or drop it where nobody waited for that.
pub(crate) struct Leave {
    rests: Rests,
    origin: String,
    permit: Option<Permit>,
}

impl Rests {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        Self {
            options: Arc::new(options),
            failing: Arc::default(),
        }
    }

    /// May the origin be called? If not: how long until it may.
    pub(crate) fn ask(&self, origin: String) -> Result<Leave, Duration> {
        let permit = match self.failing().get_mut(&origin) {
            Some(breaker) if self.options.enabled => {
                Some(breaker.ask(Instant::now(), &self.options)?)
            }
            _ => None,
        };
        Ok(Leave {
            rests: self.clone(),
            origin,
            permit,
        })
    }

    /// Origins that are not called now.
    pub(crate) fn open(&self) -> Vec<String> {
        let failing = self.failing();
        let open = failing.iter().filter(|(_, breaker)| breaker.is_open());
        let mut open: Vec<_> = open.map(|(origin, _)| origin.clone()).collect();
        open.sort_unstable();
        open
    }

    fn end(&self, origin: &str, permit: Option<Permit>, ended: Ended) {
        if !self.options.enabled {
            return;
        }
        let now = Instant::now();
        let mut failing = self.failing();
        if !failing.contains_key(origin) {
            let is_new = matches!(ended, Ended::Failed { .. }) && failing.len() < MAX_ORIGINS;
            if !is_new {
                return;
            }
            failing.insert(origin.to_owned(), Breaker::new(&self.options));
        }
        let Some(breaker) = failing.get_mut(origin) else {
            return;
        };
        // Without a permit: the breaker was made after the call began. It is closed, or was opened meanwhile.
        let Some(permit) = permit.or_else(|| breaker.late_permit()) else {
            return;
        };
        let change = breaker.end(permit, ended, now, &self.options);
        if breaker.is_idle() {
            failing.remove(origin);
        }
        if change != Change::None {
            let open = failing.values().filter(|breaker| breaker.is_open()).count();
            metric::egress_open_breakers(open);
        }
        drop(failing);
        tell(origin, change);
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Breaker>> {
        // Every change is made of whole assignments.
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave {
    /// The call has ended so.
    pub(crate) fn end(mut self, answer: &Result<OutboundResponse, EgressError>) {
        let ended = ended(answer);
        let origin = std::mem::take(&mut self.origin);
        self.rests.end(&origin, self.permit, ended);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !self.origin.is_empty() {
            self.rests.end(&self.origin, self.permit, Ended::Cancelled);
        }
    }
}

/// 4xx is an answer: the system works. So is an answer that is too large for us.
fn ended(answer: &Result<OutboundResponse, EgressError>) -> Ended {
    match answer {
        Ok(response) if response.status >= 500 => {
            let asked = (response.status == 503).then(|| response.retry_after(SystemTime::now()));
            Ended::Failed {
                come_back: asked.flatten(),
            }
        }
        Ok(_) => Ended::Answered,
        Err(error) => match error.kind() {
            EgressErrorKind::Connect | EgressErrorKind::Timeout | EgressErrorKind::Protocol => {
                Ended::Failed { come_back: None }
            }
            EgressErrorKind::TooLarge => Ended::Answered,
            EgressErrorKind::Invalid | EgressErrorKind::Forbidden | EgressErrorKind::Open => {
                Ended::Cancelled
            }
        },
    }
}

fn tell(origin: &str, change: Change) {
    match change {
        Change::None => {}
        Change::Opened { rest } => warn!(
            egress.origin = origin,
            rest_ms = rest.as_millis(),
            "`{origin}` fails again and again: it is not called for {rest:?}, what needs it waits"
        ),
        Change::Reopened { rest } => info!(
            egress.origin = origin,
            rest_ms = rest.as_millis(),
            "`{origin}` still fails: it is not called for {rest:?}"
        ),
        Change::Closed => info!(
            egress.origin = origin,
            "`{origin}` answers again: it is called again"
        ),
    }
}
