//! Settings of a plugin, held against the JSON Schema of its manifest.

use coordinator_abi::Manifest;
use serde_json::Value;

/// One setting that does not fit. Never holds its value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// Key below `[plugins.NAME.settings]`, with dots; empty for the table as a whole.
    pub key: String,
    /// What was expected.
    pub problem: String,
    /// What to do, if that is known.
    pub hint: Option<String>,
}

/// Everything about `settings` that does not fit `manifest`.
#[must_use]
pub fn check_settings(manifest: &Manifest, settings: &Value) -> Vec<SettingProblem> {
    let mut problems = unknown_settings(manifest, settings);
    for setting in manifest.settings.iter().filter(|setting| setting.required) {
        if settings.get(&setting.name).is_none() {
            problems.push(SettingProblem {
                key: setting.name.clone(),
                problem: "is required".to_owned(),
                hint: Some(setting.doc.clone()),
            });
        }
    }
    let Ok(validator) = jsonschema::validator_for(&manifest.settings_schema) else {
        // A manifest with a malformed schema: the plugin's own check when it starts has the last word.
        return problems;
    };
    for error in validator.iter_errors(settings) {
        let path = error.instance_path().to_string();
        let key = path.trim_start_matches('/').replace('/', ".");
        // Missing and unknown keys were told above, in better words.
        if !key.is_empty() {
            problems.push(SettingProblem {
                key,
                problem: error.masked_with("the value").to_string(),
                hint: None,
            });
        }
    }
    problems
}

/// The keys of `settings` that `manifest` does not have; of their values it says nothing.
#[must_use]
pub fn unknown_settings(manifest: &Manifest, settings: &Value) -> Vec<SettingProblem> {
    let known = || {
        manifest
            .settings
            .iter()
            .map(|setting| setting.name.as_str())
    };
    let Some(table) = settings.as_object() else {
        return Vec::new();
    };
    let unknown = table
        .keys()
        .filter(|key| !known().any(|name| name == key.as_str()));
    unknown
        .map(|key| SettingProblem {
            key: key.clone(),
            problem: format!("plugin `{}` has no such setting", manifest.name),
            hint: coordinator_config::nearest(key, known())
                .map(|name| format!("did you mean `{name}`?")),
        })
        .collect()
}
