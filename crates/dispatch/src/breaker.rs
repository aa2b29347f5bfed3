//! The breaker of one handler: after enough failures in a row nothing is tried until a probe succeeds.
//!
//! Pure: time and randomness come in, what changed comes out. Who is told of it is `guard`'s.

use std::time::{Duration, Instant};

use coordinator_context::BreakerTerms;
use coordinator_message::MessageId;

/// Closed → open → half-open, and back.
#[derive(Debug)]
pub(crate) struct Breaker {
    terms: BreakerTerms,
    state: State,
    /// Attempts in a row that failed.
    failures: u32,
    /// Different messages among them; no more than decide.
    failed: Vec<MessageId>,
    /// Different messages in a row whose attempts panicked.
    panicked: Vec<MessageId>,
    /// Attempts in a row that were deferred.
    deferred: u32,
    /// How long it is open the next time, before jitter.
    open_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// May an attempt begin?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Yes.
    Pass,
    /// One may, to see whether the handler works again.
    Probe,
    /// No: ask again then, or, without a time, when the probe has ended.
    Wait(Option<Instant>),
}

/// What an attempt says of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It works.
    Succeeded,
    /// It failed: asked for a retry, or timed out.
    Failed,
    /// It panicked.
    Panicked,
    /// What it calls is known not to answer for so long.
    Deferred(Duration),
    /// Nothing: a refusal is about the message.
    Neither,
}

/// What became of the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing is tried until then.
    Opened { until: Instant, why: Why },
    /// A probe succeeded.
    Closed,
}

/// Why it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// So many attempts in a row failed.
    Failures(u32),
    /// So many messages in a row panicked.
    Panics(usize),
    /// The probe failed.
    Probe,
    /// So many attempts in a row were deferred: what it calls does not answer.
    Deferred(u32),
}

impl Breaker {
    pub(crate) fn new(terms: BreakerTerms) -> Self {
        Self {
            open_for: terms.open_min,
            terms,
            state: State::Closed,
            failures: 0,
            failed: Vec::new(),
            panicked: Vec::new(),
            deferred: 0,
        }
    }

    /// Whether an attempt may begin now.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        match self.state {
            State::Closed => Gate::Pass,
            State::Open { until } if now < until => Gate::Wait(Some(until)),
            State::Open { .. } | State::HalfOpen { probing: false } => Gate::Probe,
            State::HalfOpen { probing: true } => Gate::Wait(None),
        }
    }

    /// An attempt begins, which the gate allowed; whether it is a probe.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let probe = self.gate(now) == Gate::Probe;
        if probe {
            self.state = State::HalfOpen { probing: true };
        }
        probe
    }

    /// An attempt on `message` ended. `jitter` is between 0 and 1.
    pub(crate) fn ended(
        &mut self,
        probe: bool,
        tried: Tried,
        message: MessageId,
        now: Instant,
        jitter: f64,
    ) -> Option<Change> {
        match self.state {
            State::Closed => self.count(tried, message, now, jitter),
            State::HalfOpen { .. } if probe => self.probed(tried, now, jitter),
            // It began before the breaker opened: the probes decide.
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn count(
        &mut self,
        tried: Tried,
        message: MessageId,
        now: Instant,
        jitter: f64,
    ) -> Option<Change> {
        let note = |seen: &mut Vec<MessageId>, most: u32| {
            if seen.len() < as_len(most) && !seen.contains(&message) {
                seen.push(message);
            }
        };
        match tried {
            Tried::Succeeded => {
                self.forget();
                return None;
            }
            Tried::Neither => return None,
            Tried::Deferred(after) => return self.count_deferred(after, now),
            Tried::Failed => self.panicked.clear(),
            Tried::Panicked => note(&mut self.panicked, self.terms.panics),
        }
        note(&mut self.failed, self.terms.messages);
        self.deferred = 0;
        self.failures = self.failures.saturating_add(1);
        let failing = self.failures >= self.terms.failures
            && self.failed.len() >= as_len(self.terms.messages);
        let why = if self.panicked.len() >= as_len(self.terms.panics) {
            Why::Panics(self.panicked.len())
        } else if failing {
            Why::Failures(self.failures)
        } else {
            return None;
        };
        Some(self.open(why, now, jitter))
    }

    /// Taking up message after message only to give each back would keep the journal writing.
    fn count_deferred(&mut self, after: Duration, now: Instant) -> Option<Change> {
        self.deferred = self.deferred.saturating_add(1);
        if self.deferred < self.terms.failures {
            return None;
        }
        let why = Why::Deferred(self.deferred);
        let until = self.wait(after, now);
        Some(Change::Opened { until, why })
    }

    /// Opens for as long as what the handler calls is known not to answer; that is no failure of its own.
    fn wait(&mut self, after: Duration, now: Instant) -> Instant {
        let until = now + after.min(self.terms.open_max);
        self.state = State::Open { until };
        self.deferred = 0;
        until
    }

    fn probed(&mut self, tried: Tried, now: Instant, jitter: f64) -> Option<Change> {
        match tried {
            Tried::Succeeded => {
                self.forget();
                self.open_for = self.terms.open_min;
                self.state = State::Closed;
                Some(Change::Closed)
            }
            Tried::Failed | Tried::Panicked => Some(self.open(Why::Probe, now, jitter)),
            Tried::Deferred(after) => {
                self.wait(after, now);
                None
            }
            Tried::Neither => {
                self.state = State::HalfOpen { probing: false };
                None
            }
        }
    }

    /// Opens for between three and five quarters of its time, which is twice as long the next time.
    fn open(&mut self, why: Why, now: Instant, jitter: f64) -> Change {
        let until = now + self.open_for.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
        self.open_for = (self.open_for * 2).min(self.terms.open_max);
        self.state = State::Open { until };
        self.forget();
        Change::Opened { until, why }
    }

    fn forget(&mut self) {
        self.failures = 0;
        self.deferred = 0;
        self.failed.clear();
        self.panicked.clear();
    }
}

fn as_len(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
