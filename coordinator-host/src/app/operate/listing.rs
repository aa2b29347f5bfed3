//! Plugins as operators see them: on disk, loaded, and what of them is ending.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_gateway::operator::Answer;
use coordinator_gateway::{PluginStatus, Problem};
use coordinator_store::Plugin;
use serde_json::{Value, json};

use super::refusal::of_store;
use crate::app::House;

/// So many mapped files that nothing runs of any more, and a restart is advised: they stay mapped until then.
const MAPPED_BEFORE_RESTART: usize = 50;

impl House {
    pub(super) async fn list_plugins(&self) -> Result<Answer, Problem> {
        let stored = self.stored().await?;
        let shown = self.shown();
        let items: Vec<Value> = shown
            .plugins
            .iter()
            .map(|plugin| self.view(&plugin.entry.name, &stored))
            .collect();
        let in_use: BTreeSet<_> = shown
            .plugins
            .iter()
            .filter_map(|plugin| Some(plugin.loaded.as_ref()?.sha256().to_owned()))
            .collect();
        let mapped = self.loader().mapped();
        let left = mapped.iter().filter(|it| !in_use.contains(it.sha256()));
        let body = json!({
            "items": items,
            "next": null,
            "mapped_files": mapped.len(),
            "mapped_bytes": mapped.iter().map(|loaded| loaded.size()).sum::<u64>(),
            "restart_advised": left.count() >= MAPPED_BEFORE_RESTART,
        });
        Ok(Answer {
            body,
            revision: None,
        })
    }

    pub(super) async fn show_plugin(&self, name: &str) -> Result<Answer, Problem> {
        self.known(name)?;
        let stored = self.stored().await?;
        let mut body = self.view(name, &stored);
        if stored.contains_key(name) {
            let versions = self.store().plugin_versions(name).await;
            body["versions"] = json!(versions.map_err(|error| of_store(&error))?);
        }
        Ok(Answer {
            body,
            revision: None,
        })
    }

    /// One plugin: on disk, loaded, and what of it still drains.
    fn view(&self, name: &str, stored: &BTreeMap<String, Plugin>) -> Value {
        let shown = self.shown();
        let Some(plugin) = shown.find(name) else {
            return Value::Null;
        };
        let mut view = json!(plugin.entry);
        let generation = plugin.generation.as_ref();
        view["in_flight"] = json!(generation.map(|generation| generation.plugin.in_flight()));
        let health = generation.and_then(|generation| generation.plugin.wellness());
        view["health"] = json!(health);
        let findings = generation.map(|generation| generation.plugin.findings());
        view["findings"] = json!(findings.unwrap_or_default());
        view["installed"] = json!(stored.contains_key(name));
        view["previous"] = json!(stored.get(name).and_then(|plugin| plugin.previous));
        view["on_disk"] = match coordinator_loader::inspect(&plugin.entry.path) {
            Ok(file) => json!({
                "version": file.section.head.version,
                "sha256": file.sha256,
                "loaded": plugin.entry.sha256.as_ref() == Some(&file.sha256),
            }),
            Err(error) => json!({"error": error.to_string()}),
        };
        let retiring = self.retiring().now();
        let retiring = retiring.iter().filter(|one| one.plugin.name() == name);
        let retiring = retiring.map(|one| {
            json!({
                "generation": one.number,
                "version": one.plugin.manifest().version,
                "sha256": one.plugin.loaded().sha256(),
                "in_flight": one.plugin.in_flight(),
                "memory_bytes": one.plugin.loaded().size(),
            })
        });
        view["retiring"] = retiring.collect();
        view
    }

    /// How a plugin is, if it is there.
    pub(super) fn known(&self, name: &str) -> Result<PluginStatus, Problem> {
        let shown = self.shown();
        let found = shown.find(name).map(|plugin| plugin.entry.state);
        found.ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            let known = shown.plugins.iter().map(|it| it.entry.name.as_str());
            let hint = match coordinator_config::nearest(&name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see `coordinator plugin list`".to_owned(),
            };
            Problem::not_found(
                "no-such-plugin",
                format!("there is no plugin `{name}`\n  ({hint})"),
            )
        })
    }

    /// Installed plugins, as the store has them.
    pub(super) async fn stored(&self) -> Result<BTreeMap<String, Plugin>, Problem> {
        let plugins = self.store().plugins().await;
        let plugins = plugins.map_err(|error| of_store(&error))?;
        Ok(plugins
            .into_iter()
            .map(|it| (it.name.clone(), it))
            .collect())
    }
}
