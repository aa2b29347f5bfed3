//! What is in force, as operators see it: read without waiting for a change that is being made.

use std::sync::Arc;

use coordinator_config::Config;
use coordinator_gateway::PluginEntry;
use coordinator_loader::Loaded;

use super::generation::Generation;
use super::plan::{self, Plan};

/// One plan.
pub(super) struct Shown {
    pub(super) config: Arc<Config>,
    pub(super) plugins: Vec<ShownPlugin>,
}

/// One installed plugin of it.
pub(super) struct ShownPlugin {
    pub(super) entry: PluginEntry,
    pub(super) generation: Option<Arc<Generation>>,
    pub(super) loaded: Option<Arc<Loaded>>,
}

impl Shown {
    pub(super) fn of(plan: &Plan) -> Self {
        let plugins = plan.installed.iter().map(|installed| ShownPlugin {
            entry: plan::entry(installed),
            generation: installed.generation(),
            loaded: installed.loaded().cloned(),
        });
        Self {
            config: Arc::clone(&plan.config),
            plugins: plugins.collect(),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&ShownPlugin> {
        self.plugins.iter().find(|plugin| plugin.entry.name == name)
    }
}
