//! Commands of the wiring, run by the plugins that run.

use std::sync::Arc;

use coordinator_context::{CommandTarget, Plugin, PluginCommand};
use coordinator_gateway::CommandEntry;
use coordinator_wiring::{BoundCommand, Wiring};

/// Every command of `wiring`; one of a plugin that `running` does not find says so when it is run.
pub(super) fn of(
    wiring: &Wiring,
    running: impl Fn(&str) -> Option<Arc<Plugin>>,
) -> Vec<CommandEntry> {
    let entry = |command: &BoundCommand| CommandEntry {
        instance: command.instance.clone(),
        name: command.name.clone(),
        doc: command.doc.clone(),
        arguments: command.arguments.clone(),
        timeout: command.timeout,
        target: running(&command.instance).map(|plugin| -> Arc<dyn CommandTarget> {
            Arc::new(PluginCommand::new(plugin, command.index, command.timeout))
        }),
    };
    wiring.commands.iter().map(entry).collect()
}
