//! A whole configuration brought to life: every file loaded, everything bound and checked, every plugin started. It is
//! made beside the one that is in force, and takes its place as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator_config::{Config, ConfigError};
use coordinator_context::{Plugin, Services};
use coordinator_dispatch::Pipeline;
use coordinator_gateway::{LiveView, MissingFile, PluginEntry, PluginStatus, RouteTable};
use coordinator_loader::{Loader, Version};
use coordinator_store::PluginFile;
use coordinator_telemetry::metric::{self, PluginState};
use coordinator_wiring::{Finding, Severity, Wiring};

use super::error::AppError;
use super::evolution;
use super::generation::{Generation, Numbers};
use super::install::Installed;
use super::schedules::{self, Checked};
use super::{commands, files, pipelines};

/// See the head of this file.
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    pub(super) installed: Vec<Installed>,
    pub(super) wiring: Arc<Wiring>,
    pub(super) schedules: Vec<Checked>,
}

/// What a plan is made against.
#[derive(Default)]
pub(super) struct Against<'a> {
    /// The plan in force; `None` when the host starts.
    pub(super) before: Option<&'a Plan>,
    /// Read files again that were read under the same path.
    pub(super) reread: bool,
    /// Plugins that the change is about: they must run after it.
    pub(super) touched: BTreeSet<String>,
    /// The versions below which a signed file is refused.
    pub(super) floors: BTreeMap<String, Version>,
    /// Files of installed plugins that are not on this host.
    pub(super) missing: BTreeMap<String, PluginFile>,
}

impl Plan {
    /// Loads and checks everything, and starts nothing. What already runs, and stays as it is, is taken over.
    ///
    /// # Errors
    ///
    /// Everything that does not fit, as far as it can be told at once.
    pub(super) fn prepare(
        config: Config,
        loader: &Loader,
        against: &Against<'_>,
    ) -> Result<Self, AppError> {
        let mut errors: Vec<ConfigError> = Vec::new();
        let mut installed = Vec::new();
        for plugin in config.plugins.values() {
            let before = against.before.and_then(|before| before.find(&plugin.name));
            let known = errors.len();
            let one = Installed::load(&config, plugin, loader, before, against, &mut errors);
            // Settings that do not fit are told below, by name: that it does not run would say less.
            if errors.len() == known {
                against.bear(&one)?;
            }
            installed.push(one);
        }
        if !errors.is_empty() {
            return Err(AppError::Config(errors.into()));
        }
        let (wiring, mut warnings) = bind(&config, &installed).map_err(AppError::Wiring)?;
        if let Some(before) = against.before {
            let broken = evolution::check(&before.installed, &installed);
            if !broken.is_empty() {
                return Err(AppError::Wiring(broken));
            }
        }
        let away = installed.iter().any(|one| one.loaded().is_none());
        let (schedules, findings) = schedules::read(&config.wiring.schedules, &wiring, away);
        if findings.iter().any(|it| it.severity == Severity::Error) {
            return Err(AppError::Wiring(findings));
        }
        warnings.extend(findings);
        warnings.extend(wiring.check_flags(&config.flags, &away_of(&installed)));
        tell_of(&warnings);
        Ok(Self {
            config: Arc::new(config),
            installed,
            wiring: Arc::new(wiring),
            schedules,
        })
    }

    /// The instances that run, and their versions.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, &Version)> {
        let running = self
            .installed
            .iter()
            .filter(|one| one.generation().is_some());
        running.filter_map(|one| Some((one.config.name.as_str(), one.loaded()?.version())))
    }

    /// Starts what does not run yet, one after the other.
    ///
    /// # Errors
    ///
    /// If one that must run does not. What was started is stopped again then.
    pub(super) async fn start(
        &mut self,
        services: &Services,
        numbers: &mut Numbers,
        against: &Against<'_>,
    ) -> Result<(), AppError> {
        // When the host starts, another system may be down that a plugin asks for: its deliveries wait for it.
        let probe = against.before.is_some();
        for at in 0..self.installed.len() {
            let installed = &mut self.installed[at];
            let fresh = installed.generation().is_none();
            installed.start(services, numbers, probe).await;
            if let Err(refused) = against.bear(installed) {
                self.stop_beside(against.before).await;
                return Err(refused);
            }
            if fresh {
                tell(&self.installed[at]);
            }
        }
        Ok(())
    }

    /// Stops every generation that `before` has not.
    pub(super) async fn stop_beside(&self, before: Option<&Self>) {
        let old = before.map(Self::generations).unwrap_or_default();
        for new in self.generations() {
            if !old.iter().any(|one| Arc::ptr_eq(one, &new)) {
                new.stop().await;
            }
        }
    }

    pub(super) fn generations(&self) -> Vec<Arc<Generation>> {
        self.installed
            .iter()
            .filter_map(Installed::generation)
            .collect()
    }

    pub(super) fn find(&self, instance: &str) -> Option<&Installed> {
        self.installed
            .iter()
            .find(|installed| installed.config.name == instance)
    }

    /// As the gateway sees it.
    ///
    /// # Errors
    ///
    /// If a route cannot be served.
    pub(super) fn view(&self) -> Result<LiveView, AppError> {
        Ok(LiveView {
            routes: self.routes()?,
            plugins: self.installed.iter().map(entry).collect(),
            schedules: self.schedules.iter().map(schedules::entry).collect(),
            commands: commands::of(&self.wiring, |instance| self.running(instance)),
            running: self
                .generations()
                .iter()
                .map(|it| (it.plugin.name().to_owned(), Arc::clone(&it.plugin)))
                .collect(),
        })
    }

    fn running(&self, instance: &str) -> Option<Arc<Plugin>> {
        let generation = self.find(instance)?.generation()?;
        Some(Arc::clone(&generation.plugin))
    }

    /// Every pipeline, done by the generations of this plan.
    pub(super) fn pipelines(&self) -> Vec<Pipeline> {
        pipelines::of(&self.wiring, |instance| self.running(instance))
    }

    fn routes(&self) -> Result<RouteTable, AppError> {
        let mounted = self
            .wiring
            .routes
            .iter()
            .filter_map(|bound| self.find(&bound.instance)?.mounted(bound));
        let closed = self.installed.iter().filter_map(|installed| {
            let why = match installed.status() {
                PluginStatus::Ready => return None,
                PluginStatus::Disabled => "is switched off",
                PluginStatus::Failed => {
                    "does not run: see the host's log, and `coordinator plugin list`"
                }
            };
            Some((
                installed.config.mount.clone(),
                format!("plugin `{}` {why}", installed.config.name),
            ))
        });
        RouteTable::build(mounted.collect(), closed.collect()).map_err(AppError::Route)
    }
}

impl Against<'_> {
    /// May it be as it is? A plugin that does not run is reported, and keeps nobody from going on: unless the host must
    /// have it, the change is about it, or it ran before.
    fn bear(&self, installed: &Installed) -> Result<(), AppError> {
        let name = installed.config.name.clone();
        if let Some(file) = installed.missing().filter(|_| self.before.is_some()) {
            // It is as it was, or is not here yet; what another host was told is told this one when it has the file.
            return if self.touched.contains(&name) {
                let reason = files::reason(&name, file);
                Err(AppError::Plugin { name, reason })
            } else {
                Ok(())
            };
        }
        let Some(reason) = installed.error().map(str::to_owned) else {
            return Ok(());
        };
        let Some(before) = self.before else {
            return if installed.config.required {
                Err(AppError::Required { name, reason })
            } else {
                Ok(())
            };
        };
        let failed_before = before.find(&name).is_some_and(|it| it.error().is_some());
        if failed_before && !self.touched.contains(&name) {
            return Ok(());
        }
        Err(AppError::Plugin { name, reason })
    }
}

/// Binds the whole wiring. What the operator says of a plugin that does not run is kept for when it does.
pub(super) fn bind(
    config: &Config,
    installed: &[Installed],
) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
    let views: Vec<_> = installed
        .iter()
        .filter_map(|installed| {
            Some(coordinator_wiring::Installed {
                name: installed.config.name.as_str(),
                mount: installed.config.mount.as_str(),
                manifest: installed.loaded()?.manifest(),
            })
        })
        .collect();
    let away = away_of(installed);
    Wiring::build(&views, &away, &config.dispatch, &config.wiring)
}

/// The instances whose files are not loaded.
pub(super) fn away_of(installed: &[Installed]) -> Vec<&str> {
    installed
        .iter()
        .filter(|installed| installed.loaded().is_none())
        .map(|installed| installed.config.name.as_str())
        .collect()
}

/// An error never comes this far: it ends the start.
fn tell_of(findings: &[Finding]) {
    for finding in findings {
        let (id, subject) = (&*finding.id, &finding.subject);
        let (message, hint) = (&finding.message, &finding.hint);
        match finding.severity {
            Severity::Info => tracing::info!(check.id = id, "{subject}: {message} ({hint})"),
            Severity::Warning | Severity::Error => {
                tracing::warn!(check.id = id, "{subject}: {message} ({hint})");
            }
        }
    }
}

/// A gauge and a log line for a plugin's state.
fn tell(installed: &Installed) {
    let name = &installed.config.name;
    match installed.status() {
        PluginStatus::Ready => {
            metric::plugin_state(name, PluginState::Ready);
            if let (Some(loaded), Some(generation)) = (installed.loaded(), installed.generation()) {
                let manifest = loaded.manifest();
                tracing::info!(
                    plugin.name = %name,
                    plugin.version = %manifest.version,
                    generation = generation.number,
                    "plugin `{name}` is ready: {} {}, mounted at {}",
                    manifest.name, manifest.version, installed.config.mount
                );
            }
        }
        PluginStatus::Failed => {
            metric::plugin_state(name, PluginState::Failed);
            let error = installed.error().unwrap_or_default();
            tracing::error!(plugin.name = %name, error, "plugin `{name}` does not run; its deliveries wait");
        }
        PluginStatus::Disabled => metric::plugin_state(name, PluginState::Stopped),
    }
}

pub(super) fn entry(installed: &Installed) -> PluginEntry {
    let config = &installed.config;
    let manifest = installed.loaded().map(|loaded| loaded.manifest());
    PluginEntry {
        name: config.name.clone(),
        path: config.path.clone(),
        mount: config.mount.clone(),
        state: installed.status(),
        required: config.required,
        isolation: "in-process",
        generation: installed.generation().map(|generation| generation.number),
        memory_bytes: installed.loaded().map(|loaded| loaded.size()),
        plugin: manifest.map(|manifest| manifest.name.clone()),
        version: manifest.map(|manifest| manifest.version.clone()),
        sdk: manifest.map(|manifest| manifest.sdk.clone()),
        sha256: installed.loaded().map(|loaded| loaded.sha256().to_owned()),
        error: installed.error().map(str::to_owned),
        missing: installed.missing().map(|file| MissingFile {
            version: file.version.clone(),
            sha256: file.sha256.clone(),
        }),
    }
}
