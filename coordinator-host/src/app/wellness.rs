//! Asks plugins how they are, again and again: `/readyz?verbose` and `coordinator plugin list` show the last answer.

use std::sync::Arc;
use std::time::Duration;

use coordinator_context::Plugin;
use coordinator_gateway::Live;
use tokio::runtime::Handle;

/// How often each plugin is asked.
const EVERY: Duration = Duration::from_secs(15);

/// Asks whoever runs, until the host ends. Only plugins that have something to say of it are asked.
pub(super) fn watch(live: Live, io: Handle) {
    let asking = io.clone();
    io.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for plugin in live.load().running.values() {
                if plugin.manifest().hooks.health {
                    ask(Arc::clone(plugin), &asking);
                }
            }
        }
    });
}

/// On a thread of its own: one that blocks keeps nobody else from being asked, and is not asked again meanwhile.
fn ask(plugin: Arc<Plugin>, io: &Handle) {
    let Some(asking) = plugin.begin_look() else {
        return;
    };
    let on = io.clone();
    io.spawn_blocking(move || {
        let before = plugin.wellness().is_none_or(|last| last.ok);
        on.block_on(asking.look());
        let Some(now) = plugin.wellness() else {
            return;
        };
        let name = plugin.name();
        match (before, now.ok) {
            (true, false) => {
                let reason = now.detail.unwrap_or_default();
                let reason = coordinator_telemetry::redact(&reason);
                tracing::warn!(plugin.name = name, error = %reason, "plugin `{name}` says that it is not well");
            }
            (false, true) => {
                tracing::info!(plugin.name = name, "plugin `{name}` says that it is well again");
            }
            _ => {}
        }
    });
}
