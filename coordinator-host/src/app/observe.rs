//! Joins dispatch to metrics, and to the gateway.

use std::sync::Arc;

use coordinator_dispatch::{
    Attempted, BreakerState, Dispatcher, HandlerState, HandlerStatus, Observer, Outcome,
};
use coordinator_gateway::HandlerView;
use coordinator_journal::{HandlerStats, Stats};
use coordinator_telemetry::metric::{self, DeliveryOutcome, HandlerLoad, JournalLoad};

/// Counts attempts.
pub(super) struct Metrics;

impl Observer for Metrics {
    fn attempted(&self, attempted: &Attempted<'_>) {
        let outcome = match attempted.outcome {
            Outcome::Acked => DeliveryOutcome::Acked,
            Outcome::Retried(_) => DeliveryOutcome::Retried,
            Outcome::Released => return,
            Outcome::Parked(_) => DeliveryOutcome::Parked,
            Outcome::Dead(_) => DeliveryOutcome::Dead,
        };
        metric::delivery(attempted.handler, outcome, attempted.ran);
    }

    /// The log, `/readyz` and the list of handlers say so.
    fn stuck(&self, _: &str, _: bool) {}

    fn breaker(&self, handler: &str, state: BreakerState) {
        metric::handler_breaker(handler, state == BreakerState::Open);
    }

    fn sampled(&self, stats: &Stats) {
        metric::journal_load(JournalLoad {
            size: stats.size,
            messages: stats.messages,
            delayed: stats.delayed,
        });
        for handler in &stats.handlers {
            metric::handler_load(&handler.handler, load(handler));
        }
    }
}

fn load(handler: &HandlerStats) -> HandlerLoad {
    HandlerLoad {
        lag: handler.lag,
        oldest: handler.oldest.unwrap_or_default(),
        running: handler.running,
        retrying: handler.retrying,
        parked: handler.parked,
        dead: handler.dead,
        paused: handler.paused,
    }
}

/// The dispatcher, as the gateway sees it.
pub(super) struct Handlers(pub(super) Arc<Dispatcher>);

impl coordinator_gateway::Handlers for Handlers {
    fn list(&self) -> Vec<HandlerView> {
        self.0.handlers().into_iter().map(view).collect()
    }

    fn pause(&self, id: &str) -> bool {
        self.0.pause(id).is_ok()
    }

    fn resume(&self, id: &str) -> bool {
        self.0.resume(id).is_ok()
    }
}

fn view(status: HandlerStatus) -> HandlerView {
    let (state, open_until) = match status.state {
        HandlerState::Running => ("running", None),
        HandlerState::Paused => ("paused", None),
        HandlerState::Open { until } => ("open", Some(until)),
        HandlerState::HalfOpen => ("half-open", None),
        HandlerState::Stuck => ("stuck", None),
    };
    HandlerView {
        id: status.id,
        state,
        open_until,
        terms: status.terms,
    }
}
