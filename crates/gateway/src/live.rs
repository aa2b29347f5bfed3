//! What changes while the host runs: routes, plugins, commands and schedules, swapped as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coordinator_context::Plugin;

use crate::routes::RouteTable;
use crate::state::{CommandEntry, PluginEntry, ScheduleEntry};

/// The plan that is in force, as the gateway sees it.
#[derive(Default)]
pub struct LiveView {
    /// Routes of plugins.
    pub routes: RouteTable,
    /// Installed plugins, whether they run or not.
    pub plugins: Vec<PluginEntry>,
    /// What the clock publishes.
    pub schedules: Vec<ScheduleEntry>,
    /// What operators can run of plugins.
    pub commands: Vec<CommandEntry>,
    /// Plugins that run, by instance name.
    pub running: BTreeMap<String, Arc<Plugin>>,
}

/// The view of now. Clones share it.
#[derive(Clone, Default)]
pub struct Live(Arc<ArcSwap<LiveView>>);

impl Live {
    /// Begins with `view`.
    #[must_use]
    pub fn new(view: LiveView) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(view)))
    }

    /// The view of now; a later one does not change it.
    #[must_use]
    pub fn load(&self) -> Arc<LiveView> {
        self.0.load_full()
    }

    /// Requests that come from now on see `view`.
    pub fn store(&self, view: LiveView) {
        self.0.store(Arc::new(view));
    }
}
