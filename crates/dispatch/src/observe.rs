//! What the dispatcher tells of itself, for metrics. The host wires it to telemetry.

use std::time::Duration;

use coordinator_journal::{FailureKind, Stats};
use coordinator_message::MessageType;

/// Is told of every attempt. Called on the dispatch runtime: it must return at once.
pub trait Observer: Send + Sync + 'static {
    /// An attempt ended and its verdict is on its way to the journal.
    fn attempted(&self, attempted: &Attempted<'_>);

    /// A handler began to block its thread beyond its timeout (`true`), or gave the thread back (`false`).
    fn stuck(&self, handler: &str, stuck: bool);

    /// The breaker of a handler opened or closed.
    fn breaker(&self, _handler: &str, _state: BreakerState) {}

    /// How much there is to do, a few times a minute.
    fn sampled(&self, _stats: &Stats) {}
}

/// State of a breaker, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything is tried.
    Closed,
    /// Nothing is tried but now and then a probe.
    Open,
}

/// One attempt that ended. Every field is bounded, so each may be a label.
#[derive(Debug, Clone)]
pub struct Attempted<'a> {
    /// `instance.handler`.
    pub handler: &'a str,
    /// Type of the message.
    pub ty: &'a MessageType,
    /// What was decided.
    pub outcome: Outcome,
    /// How long the attempt ran.
    pub ran: Duration,
}

/// What was decided of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Acked,
    /// It will be tried again.
    Retried(FailureKind),
    /// Given back without counting.
    Released,
    /// Given up, and holding its ordering key.
    Parked(FailureKind),
    /// Given up.
    Dead(FailureKind),
}

/// Observes nothing.
impl Observer for () {
    fn attempted(&self, _attempted: &Attempted<'_>) {}

    fn stuck(&self, _handler: &str, _stuck: bool) {}
}
