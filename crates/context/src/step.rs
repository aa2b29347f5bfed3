//! A step of a plugin, as pipelines see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::call::FailureMeta;
use coordinator_abi::code::{flow, op, outcome};
use coordinator_abi::step::{StepMeta, decode_flow};
use coordinator_abi::{Outcome, SharedBytes};
use coordinator_message::Timestamp;

use crate::in_flight::Pass;
use crate::pipeline::{Run, StepReply, StepTarget, Stepping};
use crate::plugin::{Plugin, failed};
use crate::port::{Port, Scope, Underway};

/// One step of a running plugin.
pub struct PluginStep {
    plugin: Arc<Plugin>,
    id: String,
    index: u32,
}

impl PluginStep {
    /// Step number `index` of `plugin`, called `id`.
    #[must_use]
    pub fn new(plugin: Arc<Plugin>, id: String, index: u32) -> Self {
        Self { plugin, id, index }
    }
}

impl StepTarget for PluginStep {
    fn enter(&self) -> Option<Pass> {
        self.plugin.enter()
    }

    fn take(&self, value: Bytes, run: &Run, within: Duration) -> Stepping {
        let deadline = Timestamp::now().after(within).as_millis();
        let meta = StepMeta {
            pipeline: run.pipeline.to_string(),
            run: run.id.clone(),
            trace: run.run_for.trace.map(|trace| trace.to_string()),
            deadline_ms: u64::try_from(deadline).ok(),
        };
        let caller = run.run_for.delivery.clone();
        let scope = match &caller {
            Some(caller) => Scope::Delivery(caller.stepping(&self.id)),
            None => Scope::Route,
        };
        let shared = Arc::clone(self.plugin.shared());
        let port = Port::new(shared, scope, run.run_for.trace).at_depth(run.run_for.depth);
        let port = Arc::new(port);
        let call = self.plugin.call(
            op::STEP,
            self.index,
            Arc::clone(&port),
            meta.encode(),
            SharedBytes::from(value),
        );
        Box::pin(async move {
            let reply = reply(call.await);
            settle(&port, caller.as_ref(), &reply);
            reply
        })
    }
}

/// What a step of a delivery published is part of the delivery once the step has answered, and of nothing if it failed.
fn settle(port: &Port, caller: Option<&Underway>, reply: &StepReply) {
    let emitted = port.end();
    if let (Some(caller), StepReply::Continue(_) | StepReply::Halt(_)) = (caller, reply) {
        caller.keep(emitted);
    }
}

fn reply(answer: Outcome) -> StepReply {
    match answer.code {
        outcome::OK => {
            let value = answer.body.into_bytes();
            match decode_flow(&answer.meta) {
                flow::CONTINUE => StepReply::Continue(value),
                _ => StepReply::Halt(value),
            }
        }
        outcome::PANICKED => StepReply::Panicked(FailureMeta::of(&answer).chain),
        outcome::UNAVAILABLE | outcome::UNSUPPORTED => {
            StepReply::Unavailable(FailureMeta::of(&answer).chain)
        }
        _ => StepReply::Failed(failed(&answer)),
    }
}
