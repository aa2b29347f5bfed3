//! Pipelines of the wiring, their steps done by the plugins that run.

use std::sync::Arc;

use coordinator_context::{Plugin, PluginStep, StepTarget};
use coordinator_dispatch::Pipeline;
use coordinator_wiring::{BoundStep, Wiring};

/// Every pipeline of `wiring`; a step of a plugin that `running` does not find cannot be asked, and says so.
pub(super) fn of(wiring: &Wiring, running: impl Fn(&str) -> Option<Arc<Plugin>>) -> Vec<Pipeline> {
    let target = |step: &BoundStep| -> Option<Arc<dyn StepTarget>> {
        let plugin = running(&step.instance)?;
        Some(Arc::new(PluginStep::new(
            plugin,
            step.id.clone(),
            step.index?,
        )))
    };
    let pipelines = wiring.pipelines.iter();
    pipelines
        .map(|bound| Pipeline::new(bound.clone(), target))
        .collect()
}
