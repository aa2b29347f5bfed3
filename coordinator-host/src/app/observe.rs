//! Joins dispatch to metrics, and to the gateway.

use std::sync::Arc;

use coordinator_dispatch::{Attempted, Dispatcher, HandlerState, Observer, Outcome};
use coordinator_gateway::HandlerView;
use coordinator_telemetry::metric::{self, DeliveryOutcome};

/// Counts attempts.
pub(super) struct Metrics;

impl Observer for Metrics {
    fn attempted(&self, attempted: &Attempted<'_>) {
        let outcome = match attempted.outcome {
            Outcome::Acked => DeliveryOutcome::Acked,
            Outcome::Retried(_) => DeliveryOutcome::Retried,
            Outcome::Released => return,
            Outcome::Dead(_) | Outcome::Parked(_) => DeliveryOutcome::Dead,
        };
        metric::delivery(attempted.handler, outcome, attempted.ran);
    }

    /// The log, `/readyz` and the list of handlers say so.
    fn stuck(&self, _: &str, _: bool) {}
}

/// The dispatcher, as the gateway sees it.
pub(super) struct Handlers(pub(super) Arc<Dispatcher>);

impl coordinator_gateway::Handlers for Handlers {
    fn list(&self) -> Vec<HandlerView> {
        let view = |status: coordinator_dispatch::HandlerStatus| HandlerView {
            id: status.id,
            state: match status.state {
                HandlerState::Running => "running",
                HandlerState::Paused => "paused",
                HandlerState::Stuck => "stuck",
            },
            terms: status.terms,
        };
        self.0.handlers().into_iter().map(view).collect()
    }

    fn pause(&self, id: &str) -> bool {
        self.0.pause(id).is_ok()
    }

    fn resume(&self, id: &str) -> bool {
        self.0.resume(id).is_ok()
    }
}
