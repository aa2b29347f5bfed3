//! Every plugin of the configuration, from its file to its running instance.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::manifest::Access;
use coordinator_config::{Config, ConfigError, Plugin as PluginConfig, TrustPolicy};
use coordinator_context::{Opening, Plugin, Services};
use coordinator_gateway::{MountedRoute, PluginEntry, PluginStatus};
use coordinator_loader::{Loaded, Loader, LockFile, Trust};
use coordinator_wiring::{BoundRoute, Finding, Wiring};

use super::error::AppError;
use super::settings::{self, Settings};

/// A plugin that does not start within this time has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Every installed plugin.
pub(super) struct House<'a> {
    pub(super) installed: Vec<Installed<'a>>,
}

/// One installed plugin.
pub(super) struct Installed<'a> {
    pub(super) config: &'a PluginConfig,
    stage: Stage,
    /// Kept beside the stage, for it outlives a failed start.
    loaded: Option<Arc<Loaded>>,
}

enum Stage {
    Disabled,
    /// Its file is loaded; its settings are what they are.
    Loaded(Settings),
    Running(Arc<Plugin>, Settings),
    /// Why, as an operator reads it.
    Failed(String),
}

impl<'a> House<'a> {
    /// Loads every enabled file. Settings that do not fit are told all at once.
    pub(super) fn load(config: &'a Config) -> Result<Self, AppError> {
        let loader = Loader::new(trust(config)?);
        let mut errors: Vec<ConfigError> = Vec::new();
        let mut installed = Vec::new();
        for plugin in config.plugins.values() {
            let before = errors.len();
            let one = Installed::load(&loader, config, plugin, &mut errors);
            // Settings that do not fit are told below, by name: "required" would say less.
            if errors.len() == before {
                one.check_required()?;
            }
            installed.push(one);
        }
        if errors.is_empty() {
            Ok(Self { installed })
        } else {
            Err(AppError::Config(errors.into()))
        }
    }

    /// Binds the whole wiring. What the operator says of a plugin that does not run is kept for when it does.
    pub(super) fn bind(&self, config: &Config) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
        let views: Vec<_> = self
            .installed
            .iter()
            .filter_map(|installed| {
                let loaded = installed.loaded.as_ref()?;
                let name = installed.config.name.as_str();
                let mount = installed.config.mount.as_str();
                Some(coordinator_wiring::Installed {
                    name,
                    mount,
                    manifest: loaded.manifest(),
                })
            })
            .collect();
        let away = |id: &str| {
            let instance = id.split('.').next().unwrap_or_default();
            self.installed
                .iter()
                .any(|installed| installed.config.name == instance && installed.loaded.is_none())
        };
        let mut overrides = config.wiring.handlers.clone();
        overrides.retain(|id, _| !away(id));
        Wiring::build(&views, &config.dispatch, &overrides)
    }

    /// Is there a plugin whose file is not loaded? What it knows is not known then.
    pub(super) fn is_incomplete(&self) -> bool {
        self.installed
            .iter()
            .any(|installed| installed.loaded.is_none())
    }

    /// Starts every loaded plugin, one after the other.
    pub(super) async fn start(&mut self, services: &Services) -> Result<(), AppError> {
        for installed in &mut self.installed {
            installed.start(services).await;
            super::tell(installed);
            installed.check_required()?;
        }
        Ok(())
    }

    pub(super) fn plugin(&self, instance: &str) -> Option<Arc<Plugin>> {
        self.installed
            .iter()
            .find(|installed| installed.config.name == instance)?
            .running()
    }

    pub(super) fn running(&self) -> Vec<Arc<Plugin>> {
        self.installed
            .iter()
            .filter_map(Installed::running)
            .collect()
    }

    /// A route with the plugin that answers it and the secrets that verify it; `None` if the plugin does not run.
    pub(super) fn mounted(&self, bound: &BoundRoute) -> Option<MountedRoute> {
        let installed = self
            .installed
            .iter()
            .find(|installed| installed.config.name == bound.instance)?;
        let Stage::Running(plugin, settings) = &installed.stage else {
            return None;
        };
        let secrets = match &bound.access {
            Access::Verify(verify) => settings.fetched.secrets(&verify.setting),
            Access::Public | Access::Key(_) => Vec::new(),
        };
        Some(MountedRoute {
            bound: bound.clone(),
            plugin: plugin.clone(),
            secrets,
        })
    }

    pub(super) fn entries(&self) -> Vec<PluginEntry> {
        self.installed.iter().map(Installed::entry).collect()
    }
}

impl<'a> Installed<'a> {
    fn load(
        loader: &Loader,
        config: &Config,
        plugin: &'a PluginConfig,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        if !plugin.enabled {
            return Self {
                config: plugin,
                stage: Stage::Disabled,
                loaded: None,
            };
        }
        let loaded = match loader.load(&plugin.path) {
            Ok(loaded) => loaded,
            Err(error) => {
                return Self {
                    config: plugin,
                    stage: Stage::Failed(error.to_string()),
                    loaded: None,
                };
            }
        };
        let stage = match settings::read(config, &plugin.name, loaded.manifest()) {
            Ok(settings) => Stage::Loaded(settings),
            Err(wrong) => {
                errors.extend(wrong.errors().iter().cloned());
                Stage::Failed("its settings do not fit".to_owned())
            }
        };
        Self {
            config: plugin,
            stage,
            loaded: Some(loaded),
        }
    }

    async fn start(&mut self, services: &Services) {
        let stage = std::mem::replace(&mut self.stage, Stage::Disabled);
        self.stage = match (stage, &self.loaded) {
            (Stage::Loaded(settings), Some(loaded)) => {
                match start(self.config, Arc::clone(loaded), &settings, services).await {
                    Ok(plugin) => Stage::Running(plugin, settings),
                    Err(reason) => Stage::Failed(reason),
                }
            }
            (stage, _) => stage,
        };
    }

    pub(super) fn status(&self) -> PluginStatus {
        match self.stage {
            Stage::Disabled => PluginStatus::Disabled,
            Stage::Running(..) => PluginStatus::Ready,
            Stage::Loaded(_) | Stage::Failed(_) => PluginStatus::Failed,
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match &self.stage {
            Stage::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    pub(super) fn loaded(&self) -> Option<&Arc<Loaded>> {
        self.loaded.as_ref()
    }

    fn running(&self) -> Option<Arc<Plugin>> {
        match &self.stage {
            Stage::Running(plugin, _) => Some(Arc::clone(plugin)),
            _ => None,
        }
    }

    fn check_required(&self) -> Result<(), AppError> {
        match self.error() {
            Some(reason) if self.config.required => Err(AppError::Required {
                name: self.config.name.clone(),
                reason: reason.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn entry(&self) -> PluginEntry {
        let manifest = self.loaded.as_ref().map(|loaded| loaded.manifest());
        PluginEntry {
            name: self.config.name.clone(),
            path: self.config.path.clone(),
            mount: self.config.mount.clone(),
            state: self.status(),
            required: self.config.required,
            plugin: manifest.map(|manifest| manifest.name.clone()),
            version: manifest.map(|manifest| manifest.version.clone()),
            sdk: manifest.map(|manifest| manifest.sdk.clone()),
            sha256: self
                .loaded
                .as_ref()
                .map(|loaded| loaded.sha256().to_owned()),
            error: self.error().map(str::to_owned),
        }
    }
}

async fn start(
    plugin: &PluginConfig,
    loaded: Arc<Loaded>,
    settings: &Settings,
    services: &Services,
) -> Result<Arc<Plugin>, String> {
    let policy = settings::policy(
        &plugin.name,
        loaded.manifest(),
        &settings.value,
        &plugin.allow_hosts,
    );
    let opening = Opening {
        name: plugin.name.clone(),
        settings: settings.value.clone(),
        policy: policy.map_err(|error| error.to_string())?,
        services: services.clone(),
        loaded,
    };
    // On a thread of its own: a start that blocks must not keep the host from saying so.
    let (answer, started) = tokio::sync::oneshot::channel();
    let io = services.io.clone();
    let thread = std::thread::Builder::new().name(format!("start-{}", plugin.name));
    let thread = thread.spawn(move || {
        // Nobody listens any more once the time is up: then the late instance is dropped.
        let _ = answer.send(io.block_on(Plugin::start(opening)));
    });
    thread.map_err(|error| format!("the operating system gave no thread: {error}"))?;
    match tokio::time::timeout(START_TIMEOUT, started).await {
        Ok(Ok(started)) => {
            started.map_err(|error| coordinator_telemetry::redact(&error.to_string()).into_owned())
        }
        Ok(Err(_)) => Err("its start ended without an answer".to_owned()),
        Err(_) => Err(format!(
            "it did not start within {} s",
            START_TIMEOUT.as_secs()
        )),
    }
}

pub(super) fn trust(config: &Config) -> Result<Trust, AppError> {
    match config.trust.policy {
        TrustPolicy::Any => Ok(Trust::Any),
        TrustPolicy::Locked => locked(&config.trust.lock_file).map(Trust::Locked),
    }
}

fn locked(path: &Path) -> Result<LockFile, AppError> {
    LockFile::read(path).map_err(AppError::Lock)
}
