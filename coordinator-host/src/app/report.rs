//! `coordinator check`: everything that `serve` would find wrong before it opens the journal.

use std::path::PathBuf;
use std::sync::Arc;

use coordinator_config::{Config, ConfigError, Source};
use coordinator_loader::{Loaded, Loader};
use coordinator_wiring::{Finding, Severity, Wiring};
use serde::{Serialize, Serializer};

use super::checks;
use super::install::Installed;
use super::origin;
use super::plan::{self, Against};
use super::schedules;
use super::store::Decided;
use super::trust::loader;

/// What a check found.
#[derive(Default)]
pub(crate) struct CheckReport {
    pub(crate) findings: Vec<Found>,
    pub(crate) plugins: Vec<PluginReport>,
    /// Absent if it has errors.
    pub(crate) wiring: Option<Arc<Wiring>>,
    loaded: Vec<(String, Arc<Loaded>)>,
}

/// A finding, and where its cause was written.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) finding: Finding,
    /// The file, or what operators set over it.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_texts")]
    pub(crate) sources: Vec<Source>,
}

/// One enabled plugin.
#[derive(Debug)]
pub(crate) struct PluginReport {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where its path was written; an override is a file that was installed.
    pub(crate) source: Source,
    pub(crate) ok: bool,
    pub(crate) error: Option<String>,
}

/// Loads what `serve` would load and binds what it would bind; starts nothing.
pub(crate) fn check(decided: &Decided) -> CheckReport {
    let mut report = CheckReport::default();
    match loader(&decided.config) {
        Ok(loader) => {
            let installed = report.load(decided, &loader);
            report.bind(&decided.config, &installed);
        }
        Err(error) => report.findings.push(Found {
            sources: decided.config.said_by("trust"),
            finding: finding("trust", "trust", error.to_string()),
        }),
    }
    report
}

impl Found {
    pub(crate) fn is_error(&self) -> bool {
        self.finding.severity == Severity::Error
    }
}

impl CheckReport {
    /// Loads every file that is on, and reads its settings.
    fn load(&mut self, decided: &Decided, loader: &Loader) -> Vec<Installed> {
        let config = &decided.config;
        let against = Against {
            floors: decided.floors.clone(),
            missing: decided.missing.clone(),
            ..Against::default()
        };
        let mut wrong = Vec::new();
        let plugins = config.plugins.values();
        let installed: Vec<_> = plugins
            .map(|plugin| Installed::load(config, plugin, loader, None, &against, &mut wrong))
            .collect();
        self.findings.extend(wrong.iter().map(of_setting));
        for one in installed.iter().filter(|one| one.config.enabled) {
            let name = one.config.name.clone();
            let written = config.provenance(&format!("plugins.{name}.path"));
            self.plugins.push(PluginReport {
                path: one.config.path.clone(),
                source: written.unwrap_or(Source::Default),
                ok: one.loaded().is_some(),
                // Of a file that is loaded, what is wrong with its settings is among the findings.
                error: one
                    .error()
                    .filter(|_| one.loaded().is_none())
                    .map(str::to_owned),
                name: name.clone(),
            });
            self.loaded
                .extend(one.loaded().map(|file| (name, Arc::clone(file))));
        }
        installed
    }

    /// Binds what was loaded. What is said of a plugin that was refused, or is off, cannot be checked.
    fn bind(&mut self, config: &Config, installed: &[Installed]) {
        let away = plan::away_of(installed);
        match plan::bind(config, installed) {
            Ok((wiring, warnings)) => {
                self.add(config, warnings);
                self.add(config, wiring.check_flags(&config.flags, &away));
                let (_, wrong) =
                    schedules::read(&config.wiring.schedules, &wiring, !away.is_empty());
                self.add(config, wrong);
                self.wiring = Some(Arc::new(wiring));
            }
            Err(findings) => self.add(config, findings),
        }
    }

    fn add(&mut self, config: &Config, findings: Vec<Finding>) {
        self.findings
            .extend(findings.into_iter().map(|finding| Found {
                sources: origin::of(config, &finding.subject),
                finding,
            }));
    }

    /// Adds what the plugins' own checks find: each that has some is started, asked and stopped. Nothing is started while
    /// there are errors.
    pub(crate) async fn ask_plugins(&mut self, config: &Config) {
        if self.findings.iter().any(Found::is_error) {
            return;
        }
        if let Some(wiring) = &self.wiring {
            let found = checks::ask(config, wiring, &self.loaded).await;
            self.add(config, found);
        }
    }
}

fn of_setting(error: &ConfigError) -> Found {
    let hint = error.hint.clone();
    let hint =
        hint.unwrap_or_else(|| "see `coordinator plugin inspect` for what it takes".to_owned());
    Found {
        finding: Finding {
            hint,
            ..finding("plugin-setting", &error.key, error.problem.clone())
        },
        sources: vec![error.source.clone()],
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

fn as_texts<S: Serializer>(sources: &[Source], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sources.iter().map(ToString::to_string))
}
