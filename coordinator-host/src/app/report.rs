//! `coordinator check`: everything that `serve` would find wrong before it opens the journal.

use std::path::PathBuf;

use coordinator_config::{Config, ConfigError};
use coordinator_loader::Loader;
use coordinator_wiring::{Finding, Severity, Wiring};

use super::install;
use super::schedules;
use super::settings;

/// What a check found.
#[derive(Debug)]
pub(crate) struct CheckReport {
    pub(crate) findings: Vec<Finding>,
    pub(crate) plugins: Vec<PluginReport>,
}

/// One enabled plugin.
#[derive(Debug)]
pub(crate) struct PluginReport {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) ok: bool,
    pub(crate) error: Option<String>,
}

/// Loads what `serve` would load and binds what it would bind; starts nothing.
pub(crate) fn check(config: &Config) -> CheckReport {
    let mut report = CheckReport {
        findings: Vec::new(),
        plugins: Vec::new(),
    };
    let trust = match install::trust(config) {
        Ok(trust) => trust,
        Err(error) => {
            report
                .findings
                .push(finding("lock-file", "trust.lock_file", error.to_string()));
            return report;
        }
    };
    let loader = Loader::new(trust);
    let mut loaded = Vec::new();
    for plugin in config.plugins.values().filter(|plugin| plugin.enabled) {
        let error = match loader.load(&plugin.path) {
            Ok(file) => {
                let wrong = settings::read(config, &plugin.name, file.manifest()).err();
                let wrong = wrong.iter().flat_map(|errors| errors.errors());
                report.findings.extend(wrong.map(of_setting));
                loaded.push((plugin, file));
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let (name, path) = (plugin.name.clone(), plugin.path.clone());
        report.plugins.push(PluginReport {
            name,
            path,
            ok: error.is_none(),
            error,
        });
    }
    let views: Vec<_> = loaded
        .iter()
        .map(|(plugin, file)| coordinator_wiring::Installed {
            name: &plugin.name,
            mount: &plugin.mount,
            manifest: file.manifest(),
        })
        .collect();
    let mut overrides = config.wiring.handlers.clone();
    // What is said of a plugin that was refused, or is off, cannot be checked.
    overrides.retain(|id, _| {
        let instance = id.split('.').next().unwrap_or_default();
        !config.plugins.contains_key(instance) || views.iter().any(|view| view.name == instance)
    });
    match Wiring::build(&views, &config.dispatch, &overrides) {
        Ok((wiring, warnings)) => {
            report.findings.extend(warnings);
            let away = views.len() < config.plugins.len();
            let (_, wrong) = schedules::read(&config.wiring.schedules, &wiring.types, away);
            report.findings.extend(wrong);
        }
        Err(findings) => report.findings.extend(findings),
    }
    report
}

fn of_setting(error: &ConfigError) -> Finding {
    let hint = error.hint.clone();
    let hint =
        hint.unwrap_or_else(|| "see `coordinator plugin inspect` for what it takes".to_owned());
    Finding {
        hint,
        ..finding("plugin-setting", &error.key, error.problem.clone())
    }
}

fn finding(id: &'static str, subject: &str, message: String) -> Finding {
    Finding {
        id,
        severity: Severity::Error,
        subject: subject.to_owned(),
        message,
        hint: "see `coordinator config show`".to_owned(),
    }
}
