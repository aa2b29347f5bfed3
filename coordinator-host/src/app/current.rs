//! What is in force: a plan, what is bound to its plugins, and how far the store was followed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use coordinator_config::Config;
use coordinator_context::{PluginHandler, Publisher, Target};
use coordinator_dispatch::Ticker;
use coordinator_journal::SystemClock;
use coordinator_wiring::BoundHandler;

use super::absent::Absent;
use super::catching_up::Refused;
use super::generation::{Generation, Numbers};
use super::install::Installed;
use super::plan::Plan;

/// What is in force.
pub(super) struct Current {
    pub(super) plan: Plan,
    pub(super) numbers: Numbers,
    pub(super) ticker: Option<Ticker>,
    targets: HashMap<String, Bound>,
    /// Handlers that nobody here serves.
    pub(super) absent: Absent,
    /// What of the store is in force.
    pub(super) revision: u64,
    /// What another host has stored and could not be put in force here.
    pub(super) refused: Option<Refused>,
}

/// A handler and the generation that it is of: while both stay, so does the target.
struct Bound {
    generation: Arc<Generation>,
    handler: BoundHandler,
    target: Arc<dyn Target>,
}

impl Current {
    /// `plan`, whose handlers are not bound yet.
    pub(super) fn new(plan: Plan, numbers: Numbers, revision: u64, absent: Absent) -> Self {
        Self {
            plan,
            numbers,
            ticker: None,
            targets: HashMap::new(),
            absent,
            revision,
            refused: None,
        }
    }

    /// What the store holds by now is in force.
    pub(super) fn is_at(&mut self, revision: u64) {
        self.revision = revision;
        self.refused = None;
    }

    /// Handlers that are bound to plugins that run.
    pub(super) fn served(&self) -> BTreeSet<String> {
        self.targets.keys().cloned().collect()
    }

    pub(super) fn config(&self) -> &Config {
        &self.plan.config
    }

    /// Stops what was started for a plan that is not to be.
    pub(super) async fn give_up(&self, plan: &Plan) {
        plan.stop_beside(Some(&self.plan)).await;
    }

    /// The target of each handler whose plugin runs. Those that stay as they were are the same ones as before.
    pub(super) fn targets(&mut self) -> Vec<Arc<dyn Target>> {
        let mut before = std::mem::take(&mut self.targets);
        let mut targets = Vec::new();
        for handler in &self.plan.wiring.handlers {
            let installed = self.plan.find(&handler.instance);
            let Some(generation) = installed.and_then(Installed::generation) else {
                continue;
            };
            let same = before.remove(&handler.id).filter(|bound| {
                bound.handler == *handler && Arc::ptr_eq(&bound.generation, &generation)
            });
            let bound = same.unwrap_or_else(|| Bound {
                target: Arc::new(PluginHandler::new(
                    Arc::clone(&generation.plugin),
                    handler.clone(),
                )),
                handler: handler.clone(),
                generation,
            });
            targets.push(Arc::clone(&bound.target));
            self.targets.insert(handler.id.clone(), bound);
        }
        targets
    }
}

/// Publishes what the plan's schedules say.
pub(super) fn ticker(plan: &Plan, publisher: &Publisher, node: &str) -> Ticker {
    let ticking = plan.schedules.iter().filter(|checked| checked.enabled);
    let ticking = ticking.map(|checked| checked.schedule.clone()).collect();
    Ticker::start(
        ticking,
        publisher.clone(),
        Arc::new(SystemClock),
        node.to_owned(),
    )
}
