//! A handler of a plugin, as dispatch sees it.

use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, HandleMeta};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{Outcome, SharedBytes};
use coordinator_journal::{Delivery, HandlerSpec, NewMessage};
use coordinator_wiring::{BoundHandler, HandlerKind, HandlerTerms, Order};

use crate::in_flight::Pass;
use crate::plugin::Plugin;
use crate::port::{Port, Scope, Underway};
use crate::target::{Reply, Running, Target};

/// One bound handler of a running plugin.
pub struct PluginHandler {
    plugin: Arc<Plugin>,
    bound: BoundHandler,
}

impl PluginHandler {
    /// `bound`, run by `plugin`.
    #[must_use]
    pub fn new(plugin: Arc<Plugin>, bound: BoundHandler) -> Self {
        Self { plugin, bound }
    }
}

/// A bound handler as the journal knows it, whether its plugin runs or not.
#[must_use]
pub fn spec(bound: &BoundHandler) -> HandlerSpec {
    HandlerSpec {
        lanes: bound.lanes.clone(),
        order: bound.terms.order == Order::Key,
        ..HandlerSpec::new(bound.id.clone(), bound.types.clone())
    }
}

impl Target for PluginHandler {
    fn spec(&self) -> HandlerSpec {
        spec(&self.bound)
    }

    fn terms(&self) -> HandlerTerms {
        self.bound.terms.clone()
    }

    fn enter(&self) -> Option<Pass> {
        self.plugin.enter()
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        let message = &delivery.message;
        let meta = HandleMeta {
            id: message.id.to_string(),
            ty: message.ty.to_string(),
            source: message.source.clone(),
            time_ms: u64::try_from(message.time.as_millis()).unwrap_or_default(),
            key: message.key.clone(),
            correlation: message.correlation.to_string(),
            cause: message.cause.map(|cause| cause.to_string()),
            trace: message.trace.map(|trace| trace.to_string()),
            attempt: u64::from(delivery.attempt),
            replay: u64::from(delivery.replay),
        };
        let body = SharedBytes::from(message.data.clone());
        let scope = Scope::Delivery(Underway::new(delivery.clone()));
        let port = Arc::new(Port::new(
            Arc::clone(self.plugin.shared()),
            scope,
            message.trace,
        ));
        let call = self.plugin.call(
            match self.bound.kind {
                HandlerKind::Message => op::HANDLE,
                HandlerKind::Schedule => op::SCHEDULE,
            },
            self.bound.index,
            Arc::clone(&port),
            meta.encode(),
            body,
        );
        Box::pin(async move {
            let answer = call.await;
            let emits = port.end();
            reply(&answer, emits, port.turned_away())
        })
    }
}

/// An unknown code is another attempt: nothing is lost by trying again. One that asks for another attempt after an open
/// breaker turned it away is none: the host knew before that it could not succeed.
fn reply(answer: &Outcome, emits: Vec<NewMessage>, turned_away: Option<Duration>) -> Reply {
    if answer.code == outcome::OK {
        return Reply::Ack { emits };
    }
    let FailureMeta { after_ms, chain } = FailureMeta::of(answer);
    match answer.code {
        outcome::DEAD => Reply::Dead { chain },
        outcome::PANICKED => Reply::Panicked { chain },
        _ => match turned_away {
            Some(after) => Reply::Deferred { after, chain },
            None => Reply::Retry {
                after: after_ms.map(Duration::from_millis),
                chain,
            },
        },
    }
}
