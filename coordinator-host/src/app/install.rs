//! One installed plugin of a plan, from its file to its running generation.

use std::sync::Arc;

use coordinator_abi::manifest::Access;
use coordinator_config::{Config, ConfigError, Plugin as PluginConfig};
use coordinator_context::Services;
use coordinator_gateway::{MountedRoute, PluginStatus};
use coordinator_loader::{LoadRequest, Loaded, Loader};
use coordinator_store::PluginFile;
use coordinator_wiring::BoundRoute;

use super::files;
use super::generation::{Generation, Numbers};
use super::plan::Against;
use super::settings::{self, Settings};

/// One installed plugin.
pub(super) struct Installed {
    pub(super) config: PluginConfig,
    stage: Stage,
    /// Kept beside the stage, for it outlives a failed start.
    loaded: Option<Arc<Loaded>>,
    /// The file that it should have, and that is not on this host.
    missing: Option<PluginFile>,
}

enum Stage {
    Disabled,
    /// Its file is loaded; its settings are what they are.
    Loaded(Settings),
    Running(Arc<Generation>),
    /// Why, as an operator reads it.
    Failed(String),
}

impl Installed {
    /// Loads its file, or takes it over from `before`, and reads its settings. A generation that was opened with just
    /// the same runs on.
    pub(super) fn load(
        config: &Config,
        plugin: &PluginConfig,
        loader: &Loader,
        before: Option<&Self>,
        against: &Against<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let of = |stage, loaded| Self {
            config: plugin.clone(),
            stage,
            loaded,
            missing: None,
        };
        if !plugin.enabled {
            return of(Stage::Disabled, None);
        }
        if let Some(file) = against.missing.get(&plugin.name) {
            return Self::without_file(plugin, before, file);
        }
        let known = before
            .filter(|before| !against.reread && before.config.path == plugin.path)
            .and_then(|before| before.loaded.clone());
        let request = LoadRequest::new(&plugin.path).instance(&plugin.name);
        let request = match against.floors.get(&plugin.name) {
            Some(floor) => request.floor(floor.clone()),
            None => request,
        };
        let loaded = match known.map_or_else(|| loader.load(request), Ok) {
            Ok(loaded) => loaded,
            Err(error) => return of(Stage::Failed(error.to_string()), None),
        };
        let settings = match settings::read(config, &plugin.name, loaded.manifest()) {
            Ok(settings) => settings,
            Err(wrong) => {
                errors.extend(wrong.errors().iter().cloned());
                let reason = "its settings do not fit".to_owned();
                return of(Stage::Failed(reason), Some(loaded));
            }
        };
        let running = before.and_then(Self::generation);
        match running.filter(|running| running.is_of(plugin, &loaded, &settings)) {
            Some(running) => of(Stage::Running(running), Some(loaded)),
            None => of(Stage::Loaded(settings), Some(loaded)),
        }
    }

    /// Its file is not here: what runs of it runs on, as it is.
    fn without_file(plugin: &PluginConfig, before: Option<&Self>, file: &PluginFile) -> Self {
        let mut config = plugin.clone();
        let running = before.and_then(|before| Some((before, before.generation()?)));
        let (stage, loaded) = match running {
            Some((before, generation)) => {
                config.path.clone_from(&before.config.path);
                (Stage::Running(generation), before.loaded.clone())
            }
            None => (Stage::Failed(files::reason(&plugin.name, file)), None),
        };
        Self {
            config,
            stage,
            loaded,
            missing: Some(file.clone()),
        }
    }

    /// Starts what is only loaded; with `probe` it must also be well.
    pub(super) async fn start(&mut self, services: &Services, numbers: &mut Numbers, probe: bool) {
        let stage = std::mem::replace(&mut self.stage, Stage::Disabled);
        self.stage = match (stage, &self.loaded) {
            (Stage::Loaded(settings), Some(loaded)) => {
                let (config, loaded) = (&self.config, Arc::clone(loaded));
                let started =
                    Generation::start(config, loaded, settings, services, numbers, probe).await;
                match started {
                    Ok(generation) => Stage::Running(generation),
                    Err(reason) => Stage::Failed(reason),
                }
            }
            (stage, _) => stage,
        };
    }

    pub(super) fn status(&self) -> PluginStatus {
        match self.stage {
            Stage::Disabled => PluginStatus::Disabled,
            Stage::Running(_) => PluginStatus::Ready,
            Stage::Loaded(_) | Stage::Failed(_) => PluginStatus::Failed,
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match &self.stage {
            Stage::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// The file that it should have, and that is not on this host.
    pub(super) fn missing(&self) -> Option<&PluginFile> {
        self.missing.as_ref()
    }

    pub(super) fn loaded(&self) -> Option<&Arc<Loaded>> {
        self.loaded.as_ref()
    }

    pub(super) fn generation(&self) -> Option<Arc<Generation>> {
        match &self.stage {
            Stage::Running(generation) => Some(Arc::clone(generation)),
            _ => None,
        }
    }

    /// A route with the plugin that answers it and the secrets that verify it; `None` if the plugin does not run.
    pub(super) fn mounted(&self, bound: &BoundRoute) -> Option<MountedRoute> {
        let Stage::Running(generation) = &self.stage else {
            return None;
        };
        let secrets = match &bound.access {
            Access::Verify(verify) => generation.settings.fetched.secrets(&verify.setting),
            Access::Public | Access::Key(_) => Vec::new(),
        };
        Some(MountedRoute {
            bound: bound.clone(),
            plugin: generation.plugin.clone(),
            secrets,
        })
    }
}
