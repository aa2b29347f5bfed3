//! Installed plugins, and every file that each of them had.

mod moves;

use std::collections::BTreeMap;
use std::path::PathBuf;

use coordinator_message::Timestamp;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use serde::Serialize;

pub use moves::NewPlugin;

use crate::entity::{plugin, plugin_version};
use crate::error::{During as _, StoreError};
use crate::open::Store;

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// Instance name.
    pub name: String,
    /// The file that is current.
    pub file: PluginFile,
    /// The number of the current version.
    pub version_id: i64,
    /// The version that a rollback goes to.
    pub previous: Option<i64>,
    /// Whether the operator wants it to run.
    pub enabled: bool,
    /// How it is kept apart, such as `in-process`.
    pub isolation: String,
    /// The highest version that was ever enabled, as the caller has said: a signed file below it is refused.
    pub floor: Option<String>,
    /// When it was installed first.
    pub installed_at: Timestamp,
    /// The revision that changed it last.
    pub revision: u64,
}

/// A plugin's file, as installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginFile {
    /// Where it lies; nobody changes it there.
    pub path: PathBuf,
    /// SHA-256 of its content: 64 hexadecimal digits.
    pub sha256: String,
    /// The version that it says it is.
    pub version: String,
}

/// A file that a plugin has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginVersion {
    /// Its number, which is that of the revision that brought it.
    pub id: i64,
    /// The file.
    pub file: PluginFile,
    /// The version that it took the place of.
    pub previous: Option<i64>,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who added it.
    pub added_by: String,
    /// Whether it is the current one.
    pub current: bool,
}

impl Store {
    /// Installed plugins, by name.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn plugins(&self) -> Result<Vec<Plugin>, StoreError> {
        self.bounded(move |store| async move {
            let reading = store.read().await?;
            let plugins = all(&reading).await?;
            reading.rollback().await.during("end the reading")?;
            Ok(plugins)
        })
        .await
    }

    /// One plugin, if it is installed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn plugin(&self, name: &str) -> Result<Option<Plugin>, StoreError> {
        let mut plugins = self.plugins().await?.into_iter();
        Ok(plugins.rfind(|plugin| plugin.name == name))
    }

    /// Every file that the plugin has or had, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchPlugin`], or if the database fails.
    pub async fn plugin_versions(&self, name: &str) -> Result<Vec<PluginVersion>, StoreError> {
        let name = name.to_owned();
        self.bounded(move |store| async move {
            let reading = store.read().await?;
            let row = find(&reading, &name).await?;
            let versions = plugin_version::Entity::find()
                .filter(plugin_version::Column::Plugin.eq(name))
                .order_by_asc(plugin_version::Column::Id)
                .all(&reading)
                .await
                .during("read the versions of a plugin")?;
            reading.rollback().await.during("end the reading")?;
            let versions = versions.into_iter().map(|version| PluginVersion {
                current: version.id == row.version_id,
                id: version.id,
                previous: version.previous,
                added_at: Timestamp::from_millis(version.added_at),
                added_by: version.added_by.clone(),
                file: PluginFile::of(version),
            });
            Ok(versions.collect())
        })
        .await
    }

    /// Every file that some plugin has or could be rolled back to: what must be kept.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn files_in_use(&self) -> Result<Vec<PluginFile>, StoreError> {
        self.bounded(move |store| async move {
            let rows = plugin_version::Entity::find()
                .order_by_asc(plugin_version::Column::Id)
                .all(&store.database())
                .await;
            let rows = rows.during("read the versions of the plugins")?;
            Ok(rows.into_iter().map(PluginFile::of).collect())
        })
        .await
    }
}

impl Plugin {
    fn new(row: plugin::Model, version: plugin_version::Model) -> Self {
        Self {
            name: row.name,
            version_id: version.id,
            previous: version.previous,
            file: PluginFile::of(version),
            enabled: row.enabled,
            isolation: row.isolation,
            floor: row.floor,
            installed_at: Timestamp::from_millis(row.installed_at),
            revision: row.revision.cast_unsigned(),
        }
    }
}

impl PluginFile {
    fn of(row: plugin_version::Model) -> Self {
        Self {
            path: PathBuf::from(row.path),
            sha256: row.sha256,
            version: row.version,
        }
    }
}

/// Installed plugins, by name.
pub(crate) async fn all(reading: &impl ConnectionTrait) -> Result<Vec<Plugin>, StoreError> {
    let rows = plugin::Entity::find()
        .order_by_asc(plugin::Column::Name)
        .all(reading)
        .await
        .during("read the plugins")?;
    let current = rows.iter().map(|row| row.version_id);
    let versions = plugin_version::Entity::find()
        .filter(plugin_version::Column::Id.is_in(current))
        .all(reading)
        .await
        .during("read the versions of the plugins")?;
    let mut versions: BTreeMap<i64, plugin_version::Model> = versions
        .into_iter()
        .map(|version| (version.id, version))
        .collect();
    rows.into_iter()
        .map(|row| {
            let version = versions.remove(&row.version_id);
            let version = version.ok_or_else(|| without_file(&row.name))?;
            Ok(Plugin::new(row, version))
        })
        .collect()
}

async fn find(reading: &impl ConnectionTrait, name: &str) -> Result<plugin::Model, StoreError> {
    let row = plugin::Entity::find_by_id(name).one(reading).await;
    row.during("read a plugin")?
        .ok_or_else(|| StoreError::NoSuchPlugin(name.to_owned()))
}

async fn version(
    reading: &impl ConnectionTrait,
    plugin: &str,
    id: i64,
) -> Result<Option<plugin_version::Model>, StoreError> {
    let row = plugin_version::Entity::find_by_id(id)
        .filter(plugin_version::Column::Plugin.eq(plugin))
        .one(reading)
        .await;
    row.during("read a version of a plugin")
}

fn without_file(plugin: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the current version of plugin `{plugin}` is missing"
    ))
}
