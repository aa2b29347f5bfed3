//! A plugin's settings: fetched, put into the plugin's own form, and held against its schema.

use coordinator_abi::Manifest;
use coordinator_config::{Config, ConfigError, ConfigErrors, PluginSettings, Source};
use coordinator_egress::{HostPolicy, PolicyError};
use coordinator_wiring::check_settings;
use serde_json::Value;
use url::Url;

/// Settings that a plugin can be started with.
pub(super) struct Settings {
    /// Secrets resolved.
    pub(super) value: Value,
    /// The same, for the secrets of verified routes.
    pub(super) fetched: PluginSettings,
}

/// The settings of one instance.
///
/// # Errors
///
/// Everything that does not fit, each with where it was written.
pub(super) fn read(
    config: &Config,
    name: &str,
    manifest: &Manifest,
) -> Result<Settings, ConfigErrors> {
    let is_secret = |kind: &str| kind == "secret" || kind == "secrets";
    let secrets: Vec<&str> = manifest
        .settings
        .iter()
        .filter(|s| is_secret(&s.kind))
        .map(|s| s.name.as_str())
        .collect();
    let fetched = config.plugin_settings(name, &secrets)?;
    let mut value = fetched.expose();
    for setting in manifest
        .settings
        .iter()
        .filter(|setting| setting.kind == "secrets")
    {
        // One secret where several may stand: an operator rotates seldom.
        if let Some(one) = value.get_mut(&setting.name).filter(|one| one.is_string()) {
            *one = Value::Array(vec![one.take()]);
        }
    }
    let problems = check_settings(manifest, &value);
    if problems.is_empty() {
        return Ok(Settings { value, fetched });
    }
    let errors = problems.into_iter().map(|problem| {
        let mut key = format!("plugins.{name}.settings");
        if !problem.key.is_empty() {
            key = format!("{key}.{}", problem.key);
        }
        // A setting that is not there was left out where the plugin is installed.
        let source = config
            .provenance(&key)
            .or_else(|| config.provenance(&format!("plugins.{name}.path")));
        let source = source.unwrap_or(Source::Default);
        ConfigError {
            source,
            key,
            problem: problem.problem,
            found: None,
            hint: problem.hint,
        }
    });
    Err(errors.collect::<Vec<_>>().into())
}

/// Where the instance may call: the origins of its own URL settings, and `allow_hosts`.
pub(super) fn policy(
    name: &str,
    manifest: &Manifest,
    settings: &Value,
    allow_hosts: &[String],
) -> Result<HostPolicy, PolicyError> {
    let urls = manifest
        .settings
        .iter()
        .filter(|setting| setting.kind == "url");
    let urls: Vec<Url> = urls
        .filter_map(|setting| settings.get(&setting.name)?.as_str()?.parse().ok())
        .collect();
    HostPolicy::new(name, &urls, allow_hosts.iter().map(String::as_str))
}
