//! `coordinator check`: everything that `serve` would find wrong before it opens the journal.

use std::path::PathBuf;
use std::sync::Arc;

use coordinator_config::{Config, ConfigError};
use coordinator_loader::{LoadRequest, Loaded, Loader};
use coordinator_wiring::{Finding, Severity, Wiring};

use super::checks;
use super::schedules;
use super::settings;
use super::trust::loader;

/// What a check found.
pub(crate) struct CheckReport {
    pub(crate) findings: Vec<Finding>,
    pub(crate) plugins: Vec<PluginReport>,
    /// Absent if it has errors.
    pub(crate) wiring: Option<Arc<Wiring>>,
    loaded: Vec<(String, Arc<Loaded>)>,
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
        wiring: None,
        loaded: Vec::new(),
    };
    let loader = match loader(config) {
        Ok(loader) => loader,
        Err(error) => {
            report
                .findings
                .push(finding("trust", "trust", error.to_string()));
            return report;
        }
    };
    report.load(config, &loader);
    report.bind(config);
    report
}

impl CheckReport {
    /// Loads every file that is on, and reads its settings.
    fn load(&mut self, config: &Config, loader: &Loader) {
        for plugin in config.plugins.values().filter(|plugin| plugin.enabled) {
            let request = LoadRequest::new(&plugin.path).instance(&plugin.name);
            let error = match loader.load(request) {
                Ok(file) => {
                    let wrong = settings::read(config, &plugin.name, file.manifest()).err();
                    let wrong = wrong.iter().flat_map(|errors| errors.errors());
                    self.findings.extend(wrong.map(of_setting));
                    self.loaded.push((plugin.name.clone(), file));
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            let (name, path) = (plugin.name.clone(), plugin.path.clone());
            self.plugins.push(PluginReport {
                name,
                path,
                ok: error.is_none(),
                error,
            });
        }
    }

    /// Binds what was loaded. What is said of a plugin that was refused, or is off, cannot be checked.
    fn bind(&mut self, config: &Config) {
        let views: Vec<_> = self
            .loaded
            .iter()
            .filter_map(|(name, file)| {
                Some(coordinator_wiring::Installed {
                    name,
                    mount: &config.plugins.get(name)?.mount,
                    manifest: file.manifest(),
                })
            })
            .collect();
        let away: Vec<&str> = config
            .plugins
            .keys()
            .map(String::as_str)
            .filter(|name| !views.iter().any(|view| view.name == *name))
            .collect();
        match Wiring::build(&views, &away, &config.dispatch, &config.wiring) {
            Ok((wiring, warnings)) => {
                self.findings.extend(warnings);
                let odd = wiring.check_flags(&config.flags, &away);
                self.findings.extend(odd);
                let (_, wrong) =
                    schedules::read(&config.wiring.schedules, &wiring, !away.is_empty());
                self.findings.extend(wrong);
                self.wiring = Some(Arc::new(wiring));
            }
            Err(findings) => self.findings.extend(findings),
        }
    }

    /// Adds what the plugins' own checks find: each that has some is started, asked and stopped. Nothing is started while
    /// there are errors.
    pub(crate) async fn ask_plugins(&mut self, config: &Config) {
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if self.findings.iter().any(is_error) {
            return;
        }
        if let Some(wiring) = &self.wiring {
            let found = checks::ask(config, wiring, &self.loaded).await;
            self.findings.extend(found);
        }
    }
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
        id: id.into(),
        severity: Severity::Error,
        subject: subject.to_owned(),
        message,
        hint: "see `coordinator config show`".to_owned(),
    }
}
