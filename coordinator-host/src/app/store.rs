//! The store: opened when the host starts, and what it holds as a layer over the configuration.

use std::collections::BTreeMap;

use coordinator_config::Config;
use coordinator_loader::Version;
use coordinator_store::{Snapshot, Store, StoreOptions};
use serde_json::Value;

use super::error::AppError;

/// Opens it, and brings its tables up to date.
pub(super) async fn open(config: &Config) -> Result<Store, AppError> {
    let options = StoreOptions {
        url: config.database.url.expose().to_owned(),
        max_connections: config.database.max_connections,
        timeout: config.database.timeout,
    };
    let store = Store::open(&options).await.map_err(AppError::Database)?;
    store.migrate().await.map_err(AppError::Store)?;
    Ok(store)
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
