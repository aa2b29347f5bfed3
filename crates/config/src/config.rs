//! The whole configuration, loaded once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use crate::database::{Cache, Database};
use crate::egress::Egress;
use crate::error::ConfigErrors;
use crate::instances::{self, ApiKey, Plugin, Wiring};
use crate::journal::Journal;
use crate::key::Key;
use crate::layers::{Layers, Source, Sources};
use crate::reader::Load;
use crate::secret_ref::SecretPlaces;
use crate::sections::{Dispatch, Log, Server};
use crate::trust::Trust;

/// The configuration of one host, checked.
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[database]`.
    pub database: Database,
    /// `[cache]`.
    pub cache: Cache,
    /// `[journal]`.
    pub journal: Journal,
    /// `[trust]`.
    pub trust: Trust,
    /// `[log]`.
    pub log: Log,
    /// `[api.keys.…]`.
    pub api_keys: Vec<ApiKey>,
    /// `[dispatch]`.
    pub dispatch: Dispatch,
    /// `[egress]`.
    pub egress: Egress,
    /// `[plugins.…]`, by instance name.
    pub plugins: BTreeMap<String, Plugin>,
    /// `[wiring.…]`.
    pub wiring: Wiring,
    /// `[flags]`: what operators have switched, by `instance.flag`.
    pub flags: BTreeMap<String, bool>,
    pub(crate) layers: Layers,
    pub(crate) secrets: SecretPlaces,
    sources: Sources,
}

impl Config {
    /// Reads, merges and checks all layers.
    ///
    /// # Errors
    /// Every mistake in every layer at once. Settings of plugins are checked later, against the
    /// plugins' own schemas: see [`Config::plugin_settings`].
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let layers = Layers::read(sources, &mut errors);
        let secrets = SecretPlaces::new(sources);
        let load = Load {
            layers: &layers,
            secrets: &secrets,
            errors: RefCell::new(errors),
        };
        let root = load.root();
        let server = root.section("server", Server::read);
        let database = root.section("database", |from| Database::read(from, &server.data_dir));
        let cache = root.section("cache", Cache::read);
        let journal = root.section("journal", Journal::read);
        let trust = root.section("trust", Trust::read);
        let log = root.section("log", Log::read);
        let dispatch = root.section("dispatch", Dispatch::read);
        let egress = root.section("egress", Egress::read);
        let api_keys = root.section("api", instances::api_keys);
        let plugins = instances::plugins(&root);
        let wiring = root.section("wiring", Wiring::read);
        let flags = instances::flags(&root);
        root.report_unknown();
        drop(root);
        let errors = load.errors.into_inner();
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        Ok(Self {
            server,
            database,
            cache,
            journal,
            trust,
            log,
            api_keys,
            dispatch,
            egress,
            plugins,
            wiring,
            flags,
            layers,
            secrets,
            sources: sources.clone(),
        })
    }

    /// Reads the file anew, with these overrides over it: see [`Sources::with_overrides`].
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn reload(
        &self,
        overrides: BTreeMap<String, serde_json::Value>,
    ) -> Result<Self, ConfigErrors> {
        let sources = self.sources.clone().with_text(None);
        Self::load(&sources.with_overrides(overrides))
    }

    /// The same configuration, with these overrides instead of those that it has. What the file says by now does not
    /// matter: somebody may be in the middle of editing it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn with_overrides(
        &self,
        overrides: BTreeMap<String, serde_json::Value>,
    ) -> Result<Self, ConfigErrors> {
        let text = self.layers.text().cloned();
        let sources = self.sources.clone().with_text(text);
        Self::load(&sources.with_overrides(overrides))
    }

    /// Where the value of a setting came from: `journal.retention`,
    /// `wiring.handlers."lms.enrol".timeout`. `None` if it has no value.
    #[must_use]
    pub fn provenance(&self, key: &str) -> Option<Source> {
        let value = self.layers.find(Key::parse(key).parts())?;
        Some(self.layers.source(value.tag()))
    }

    /// Which layers say something at a key or below it, `wiring.handlers."lms.enrol"`; the built-in defaults do not
    /// count.
    #[must_use]
    pub fn said_by(&self, key: &str) -> Vec<Source> {
        let mut sources = Vec::new();
        if let Some(value) = self.layers.find(Key::parse(key).parts()) {
            self.layers.add_sources(value, &mut sources);
        }
        sources
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The layers hold what operators wrote, literal secrets of plugins included.
        f.debug_struct("Config")
            .field("server", &self.server)
            .field("database", &self.database)
            .field("cache", &self.cache)
            .field("journal", &self.journal)
            .field("trust", &self.trust)
            .field("log", &self.log)
            .field("dispatch", &self.dispatch)
            .field("egress", &self.egress)
            .field("plugins", &self.plugins)
            .field("wiring", &self.wiring)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}
