//! What a handler is bound to just now: the target that its deliveries are for, and the terms that it is run under.

use std::sync::Arc;

use coordinator_context::{HandlerTerms, Pass, Target};
use coordinator_journal::HandlerSpec;

/// One target with what it says of itself. A handler that gets another one goes on under it with its next attempt.
pub(crate) struct Bound {
    pub(crate) target: Arc<dyn Target>,
    pub(crate) terms: HandlerTerms,
    pub(crate) spec: Arc<HandlerSpec>,
}

impl Bound {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        Self {
            terms: target.terms(),
            spec: Arc::new(target.spec()),
            target,
        }
    }

    /// Calls that may run at once.
    pub(crate) fn slots(&self) -> usize {
        usize::try_from(self.terms.concurrency)
            .unwrap_or(usize::MAX)
            .max(1)
    }
}

/// A target that cannot be stopped while this is held.
pub(crate) struct Held {
    pub(crate) bound: Arc<Bound>,
    _pass: Pass,
}

impl Held {
    /// `None` if the target's end has begun.
    pub(crate) fn of(bound: Arc<Bound>) -> Option<Self> {
        let _pass = bound.target.enter()?;
        Some(Self { bound, _pass })
    }
}
