//! Settings of one plugin as operators see them, and what a plugin that is not loaded says of its own: its file is read
//! then, and none of it runs.

use std::borrow::Cow;
use std::path::Path;

use coordinator_abi::Manifest;
use coordinator_abi::manifest::Setting;
use coordinator_config::{ConfigError, Source};
use coordinator_gateway::Problem;
use coordinator_store::Change;
use coordinator_wiring::unknown_settings;
use serde_json::{Map, Value, json};

use super::refusal::problem;
use crate::app::shown::ShownPlugin;
use crate::app::{AppError, House};

impl House {
    pub(super) fn show_settings(&self, plugin: &str) -> Result<Value, Problem> {
        let shown = self.shown();
        let found = shown.find(plugin).ok_or_else(|| no_plugin(plugin))?;
        let manifest = manifest(found).unwrap_or_default();
        let prefix = prefix(plugin);
        let is_secret = |key: &str| {
            let name = key.strip_prefix(&prefix);
            let setting = name.and_then(|name| manifest.settings.iter().find(|it| it.name == name));
            setting.is_some_and(|setting| setting.kind.starts_with("secret"))
        };
        let entries = shown.config.entries_masking(is_secret);
        let settings = manifest.settings.iter().map(|setting| {
            let key = format!("{prefix}{}", setting.name);
            let within = format!("{key}.");
            let set = entries
                .iter()
                .filter(|entry| entry.key == key || entry.key.starts_with(&within));
            let values: Vec<_> = set
                .map(
                    |it| json!({"key": it.key, "value": it.value, "source": it.source.to_string()}),
                )
                .collect();
            json!({
                "name": setting.name, "doc": setting.doc, "kind": setting.kind,
                "required": setting.required, "values": values,
            })
        });
        Ok(json!({
            "plugin": plugin, "settings": settings.collect::<Vec<_>>(),
            "schema": manifest.settings_schema,
        }))
    }

    /// Refuses settings that the plugin does not have. One that is loaded is asked itself, with its whole schema; of one
    /// that is switched off, or was refused, the file says what it would take.
    pub(super) fn know_settings(&self, plugin: &str, changes: &[Change]) -> Result<(), Problem> {
        let shown = self.shown();
        let found = shown.find(plugin).ok_or_else(|| no_plugin(plugin))?;
        // Of a file that cannot be read nothing is known: it is refused when the plugin is switched on.
        let Some(manifest) = manifest(found).filter(|_| found.loaded.is_none()) else {
            return Ok(());
        };
        let prefix = prefix(plugin);
        let set = changes.iter().filter(|change| change.value.is_some());
        let named = set.filter_map(|change| change.key.strip_prefix(&prefix)?.split('.').next());
        let table: Map<_, _> = named.map(|name| (name.to_owned(), Value::Null)).collect();
        let unknown = unknown_settings(&manifest, &Value::Object(table));
        if unknown.is_empty() {
            return Ok(());
        }
        let errors = unknown.into_iter().map(|setting| ConfigError {
            source: Source::Override,
            key: format!("{prefix}{}", setting.key),
            problem: setting.problem,
            found: None,
            hint: setting.hint,
        });
        Err(problem(AppError::Config(errors.collect::<Vec<_>>().into())))
    }
}

fn prefix(plugin: &str) -> String {
    format!("plugins.{plugin}.settings.")
}

/// What the plugin says of itself; if it is not loaded, what its file says.
fn manifest(plugin: &ShownPlugin) -> Option<Cow<'_, Manifest>> {
    match &plugin.loaded {
        Some(loaded) => Some(Cow::Borrowed(loaded.manifest())),
        None => declared(&plugin.entry.path).map(Cow::Owned),
    }
}

/// The settings that a file declares, without their schema.
fn declared(file: &Path) -> Option<Manifest> {
    let inspected = tokio::task::block_in_place(|| coordinator_loader::inspect(file));
    let section = inspected.ok()?.section;
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let lines = section
        .lines
        .iter()
        .filter(|line| line["setting"].is_string());
    let settings = lines.map(|line| Setting {
        name: text(line, "setting"),
        doc: text(line, "doc"),
        kind: text(line, "kind"),
        required: line["required"] == true,
    });
    Some(Manifest {
        name: section.head.name,
        settings: settings.collect(),
        ..Manifest::default()
    })
}

pub(super) fn no_plugin(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    let detail = format!("there is no plugin `{name}`\n  (see `coordinator plugin list`)");
    Problem::not_found("no-such-plugin", detail)
}
