//! The store: opened when the host starts, and what it holds as a layer over the configuration.

use std::collections::BTreeMap;

use coordinator_config::{Config, ConfigErrors};
use coordinator_loader::{Shelf, Version};
use coordinator_store::{PluginFile, Snapshot, Store, StoreError, StoreOptions};
use serde_json::Value;

use super::error::AppError;
use super::files;

/// What a host runs: the configuration, with what operators decided over it.
pub(crate) struct Decided {
    pub(crate) config: Config,
    /// The newest change that is part of it; 0 if there is none.
    pub(crate) revision: u64,
    /// The versions below which a signed file is refused.
    pub(super) floors: BTreeMap<String, Version>,
    /// Files of installed plugins that are not on this host.
    pub(super) missing: BTreeMap<String, PluginFile>,
}

impl Decided {
    /// `config` with what a store holds over it, in which the files that are here were found.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with that; what operators have set is told as `override`.
    pub(super) fn of(
        config: &Config,
        snapshot: &Snapshot,
        missing: BTreeMap<String, PluginFile>,
    ) -> Result<Self, ConfigErrors> {
        Ok(Self {
            config: config.with_overrides(layer(snapshot))?,
            revision: snapshot.revision,
            floors: floors(snapshot),
            missing,
        })
    }

    /// The configuration alone.
    pub(crate) fn by_file(config: Config) -> Self {
        Self {
            config,
            revision: 0,
            floors: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }
}

/// What a host with this configuration would run if it started now. Only reads, whatever runs beside.
///
/// # Errors
///
/// If the store cannot be read, or does not fit the configuration.
pub(crate) async fn look(config: &Config) -> Result<Decided, AppError> {
    let store = Store::open_to_read(&options(config)).await;
    let mut snapshot = match store.map_err(AppError::Database)? {
        Some(store) => {
            let snapshot = found(&store).await;
            store.close().await;
            snapshot.map_err(AppError::Store)?
        }
        None => Snapshot::default(),
    };
    let shelf = Shelf::new(&config.server.data_dir);
    let in_file = |name: &str| Some(config.plugins.get(name)?.path.clone());
    let missing = files::look(&shelf, &mut snapshot, in_file);
    Ok(Decided::of(config, &snapshot, missing)?)
}

/// What is in force; a database without tables is one that the first host will find empty.
async fn found(store: &Store) -> Result<Snapshot, StoreError> {
    let migrations = store.migrations().await?;
    if migrations.iter().any(|migration| migration.applied) {
        store.snapshot().await
    } else {
        Ok(Snapshot::default())
    }
}

/// Opens it, and brings its tables up to date.
pub(super) async fn open(config: &Config) -> Result<Store, AppError> {
    let opened = Store::open(&options(config)).await;
    let store = opened.map_err(AppError::Database)?;
    store.migrate().await.map_err(AppError::Store)?;
    Ok(store)
}

fn options(config: &Config) -> StoreOptions {
    StoreOptions {
        url: config.database.url.expose().to_owned(),
        max_connections: config.database.max_connections,
        timeout: config.database.timeout,
    }
}

/// What operators decided, by configuration key. Installed plugins come first: an override is said of them.
pub(super) fn layer(snapshot: &Snapshot) -> BTreeMap<String, Value> {
    let mut layer = BTreeMap::new();
    for plugin in &snapshot.plugins {
        let mut set = |key: &str, value: Value| {
            layer.insert(format!("plugins.{}.{key}", plugin.name), value);
        };
        set("path", plugin.file.path.to_string_lossy().into());
        set("enabled", plugin.enabled.into());
        set("isolation", plugin.isolation.as_str().into());
    }
    for (key, set) in &snapshot.overrides {
        layer.insert(key.clone(), set.value.clone());
    }
    layer
}

/// The version of each installed plugin below which a signed file is refused.
pub(super) fn floors(snapshot: &Snapshot) -> BTreeMap<String, Version> {
    let floors = snapshot.plugins.iter().filter_map(|plugin| {
        let floor = plugin.floor.as_ref()?.parse().ok()?;
        Some((plugin.name.clone(), floor))
    });
    floors.collect()
}
