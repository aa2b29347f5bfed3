//! Leaves a system alone that fails again and again: closed → open → half-open, for one origin.
//!
//! In: the time, and how each call ended. Out: may the next call be made, and if not, when to ask again. Pure: no
//! clock, no lock. Not here: what a failure is (see `rests`), and what becomes of a call that is not made.

use std::time::{Duration, Instant};

/// When a breaker opens and for how long.
#[derive(Debug, Clone)]
pub struct BreakerOptions {
    /// Is there one?
    pub enabled: bool,
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open at first; doubles while its probes fail.
    pub open_for: Duration,
    /// How long it stays open at most, whatever the other side asks for.
    pub open_max: Duration,
}

impl From<&coordinator_config::EgressBreaker> for BreakerOptions {
    fn from(config: &coordinator_config::EgressBreaker) -> Self {
        Self {
            enabled: config.enabled,
            failures: config.failures,
            open_for: config.open_min,
            open_max: config.open_max,
        }
    }
}

/// How a call ended, as far as the breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The other side answered, and not with 5xx.
    Answered,
    /// It did not, or with 5xx. It may have said when to come back.
    Failed { come_back: Option<Duration> },
    /// Nobody waited for the end.
    Cancelled,
}

/// One call that may be made. Its end must be told, together with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permit {
    /// The only call until it has ended.
    pub(crate) probe: bool,
    /// Calls that began before the breaker last opened say nothing about now.
    opened: u64,
}

/// The breaker of one origin.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// How often it has opened.
    opened: u64,
    /// How long it opens next.
    rest: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failed: u32,
    },
    Open {
        until: Instant,
    },
    /// One probe is on its way.
    HalfOpen,
}

/// What changed with the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// It has opened, from closed.
    Opened {
        rest: Duration,
    },
    /// A probe failed: it is open again.
    Reopened {
        rest: Duration,
    },
    /// A probe was answered.
    Closed,
}

impl Breaker {
    pub(crate) fn new(options: &BreakerOptions) -> Self {
        Self {
            state: State::Closed { failed: 0 },
            opened: 0,
            rest: options.open_for,
        }
    }

    /// May a call be made now? If not: how long until one may.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        options: &BreakerOptions,
    ) -> Result<Permit, Duration> {
        let permit = |probe, opened| Permit { probe, opened };
        match self.state {
            State::Closed { .. } => Ok(permit(false, self.opened)),
            State::Open { until } if now < until => Err(until - now),
            State::Open { .. } => {
                self.state = State::HalfOpen;
                Ok(permit(true, self.opened))
            }
            // The probe's answer is not far away.
            State::HalfOpen => Err(options.open_for),
        }
    }

    /// A call that was permitted has ended.
    pub(crate) fn end(
        &mut self,
        permit: Permit,
        ended: Ended,
        now: Instant,
        options: &BreakerOptions,
    ) -> Change {
        if permit.opened != self.opened {
            return Change::None;
        }
        match (self.state, ended) {
            (State::HalfOpen, _) if !permit.probe => Change::None,
            (State::HalfOpen, Ended::Answered) => {
                self.rest = options.open_for;
                self.state = State::Closed { failed: 0 };
                Change::Closed
            }
            (State::HalfOpen, Ended::Failed { come_back }) => Change::Reopened {
                rest: self.open(come_back, now, options),
            },
            // Nothing is known: the next call is the probe.
            (State::HalfOpen, Ended::Cancelled) => {
                self.state = State::Open { until: now };
                Change::None
            }
            (State::Closed { .. }, Ended::Answered) => {
                self.state = State::Closed { failed: 0 };
                Change::None
            }
            (State::Closed { failed }, Ended::Failed { come_back }) => {
                let failed = failed.saturating_add(1);
                if failed >= options.failures || come_back.is_some_and(|wait| !wait.is_zero()) {
                    let rest = self.open(come_back, now, options);
                    return Change::Opened { rest };
                }
                self.state = State::Closed { failed };
                Change::None
            }
            (State::Closed { .. }, Ended::Cancelled) | (State::Open { .. }, _) => Change::None,
        }
    }

    /// For a call that began when there was no breaker yet; `None` once it has opened.
    pub(crate) fn late_permit(&self) -> Option<Permit> {
        (self.opened == 0).then_some(Permit {
            probe: false,
            opened: 0,
        })
    }

    /// Is there nothing to remember?
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Closed { failed: 0 })
    }

    /// Are calls turned away? A probe may be on its way.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    fn open(
        &mut self,
        come_back: Option<Duration>,
        now: Instant,
        options: &BreakerOptions,
    ) -> Duration {
        let rest = come_back.map_or(self.rest, |asked| {
            asked.max(options.open_for).min(options.open_max)
        });
        self.rest = self.rest.saturating_mul(2).min(options.open_max);
        self.opened += 1;
        self.state = State::Open { until: now + rest };
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: Ended = Ended::Failed { come_back: None };

    struct Stage {
        breaker: Breaker,
        options: BreakerOptions,
        now: Instant,
    }

    impl Stage {
        fn new() -> Self {
            let options = BreakerOptions {
                enabled: true,
                failures: 3,
                open_for: SECOND,
                open_max: 5 * SECOND,
            };
            Self {
                breaker: Breaker::new(&options),
                options,
                now: Instant::now(),
            }
        }

        fn ask(&mut self) -> Result<Permit, Duration> {
            self.breaker.ask(self.now, &self.options)
        }

        fn end(&mut self, permit: Permit, ended: Ended) -> Change {
            self.breaker.end(permit, ended, self.now, &self.options)
        }

        fn call(&mut self, ended: Ended) -> Change {
            let permit = self.ask().expect("it is closed, or its time has come");
            self.end(permit, ended)
        }

        fn opened() -> Self {
            let mut stage = Self::new();
            while stage.call(FAILED) == Change::None {}
            stage
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut stage = Stage::new();
        for ended in [
            FAILED,
            FAILED,
            Ended::Answered,
            FAILED,
            Ended::Cancelled,
            FAILED,
        ] {
            assert_eq!(stage.call(ended), Change::None);
        }
        assert_eq!(stage.call(FAILED), Change::Opened { rest: SECOND });
        assert_eq!(stage.ask(), Err(SECOND));
    }

    #[test]
    fn one_probe_goes_first_and_its_answer_lets_the_others_through() {
        let mut stage = Stage::opened();
        stage.now += SECOND;
        let probe = stage.ask().expect("its time has come");
        assert!(probe.probe);
        assert_eq!(stage.ask(), Err(SECOND), "one is enough");
        assert_eq!(stage.end(probe, Ended::Answered), Change::Closed);
        assert!(stage.breaker.is_idle());
        assert!(stage.ask().is_ok() && stage.ask().is_ok());
    }

    #[test]
    fn a_probe_that_fails_doubles_the_rest_up_to_its_bound() {
        let mut stage = Stage::opened();
        for seconds in [2, 4, 5, 5] {
            stage.now += 5 * SECOND;
            let rest = Duration::from_secs(seconds);
            assert_eq!(stage.call(FAILED), Change::Reopened { rest });
        }
        stage.now += 5 * SECOND;
        assert_eq!(stage.call(Ended::Answered), Change::Closed);
        let mut stage = Stage {
            breaker: stage.breaker,
            ..Stage::new()
        };
        for _ in 0..2 {
            assert_eq!(stage.call(FAILED), Change::None);
        }
        assert_eq!(stage.call(FAILED), Change::Opened { rest: SECOND });
    }

    #[test]
    fn a_probe_that_nobody_waits_for_is_followed_by_another() {
        let mut stage = Stage::opened();
        stage.now += SECOND;
        assert_eq!(stage.call(Ended::Cancelled), Change::None);
        assert!(stage.ask().expect("at once").probe);
    }

    #[test]
    fn retry_after_opens_it_at_once_and_is_clamped() {
        for (asked, rest) in [(3, 3), (3600, 5)] {
            let mut stage = Stage::new();
            let come_back = Some(Duration::from_secs(asked));
            let rest = Duration::from_secs(rest);
            assert_eq!(
                stage.call(Ended::Failed { come_back }),
                Change::Opened { rest }
            );
        }
        let mut stage = Stage::new();
        let come_back = Some(Duration::ZERO);
        assert_eq!(stage.call(Ended::Failed { come_back }), Change::None);
    }

    #[test]
    fn a_call_from_before_it_opened_changes_nothing() {
        let mut stage = Stage::new();
        let early = stage.ask().expect("closed");
        while stage.call(FAILED) == Change::None {}
        assert_eq!(stage.end(early, Ended::Answered), Change::None);
        assert!(stage.ask().is_err());
        stage.now += SECOND;
        let probe = stage.ask().expect("its time has come");
        assert_eq!(stage.end(early, FAILED), Change::None);
        assert_eq!(stage.end(probe, Ended::Answered), Change::Closed);
        assert_eq!(stage.end(early, FAILED), Change::None);
        assert!(stage.breaker.is_idle());
    }
}
