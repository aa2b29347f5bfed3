//! What operators do with plugins. Each move is one revision, with its entry in the audit log.

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
};

use super::{Plugin, PluginFile, find, version, without_file};
use crate::entity::{plugin, plugin_version};
use crate::error::{During as _, StoreError};
use crate::open::Store;
use crate::overrides::{Change, check, effective, in_force};
use crate::transaction::Write;
use crate::{Entry, key};

/// Bytes of the longest name and version, as the columns are made.
const MAX_NAME: usize = 100;

/// A plugin that is to be installed.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Instance name.
    pub name: String,
    /// Its file, where it will stay.
    pub file: PluginFile,
    /// Whether it shall run.
    pub enabled: bool,
    /// How it is kept apart.
    pub isolation: String,
    /// The version below which files are refused from now on.
    pub floor: Option<String>,
    /// Its mount and settings, set in the same revision: `plugins.NAME.mount`, `plugins.NAME.settings.…`.
    pub changes: Vec<Change>,
}

impl Store {
    /// Installs a plugin.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`]; [`StoreError::Conflict`]; if a name, version or change cannot be; if the database fails.
    pub async fn install(
        &self,
        new: NewPlugin,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        short("the plugin's name", &new.name)?;
        short("the isolation", &new.isolation)?;
        new.file.check()?;
        check(&new.changes)?;
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(expected)?;
            let taken = plugin::Entity::find_by_id(&new.name).one(&write.transaction);
            if taken.await.during("read a plugin")?.is_some() {
                return Err(StoreError::Taken(new.name));
            }
            let changes = effective(&write, new.changes).await?;
            let id = write.revise(&entry, None).await?.number;
            write.put(&changes).await?;
            let file = write.add(&new.name, new.file, None, &entry.actor).await?;
            let row = plugin::Model {
                name: new.name,
                version_id: id,
                enabled: new.enabled,
                isolation: new.isolation,
                floor: new.floor,
                installed_at: write.now.as_millis(),
                revision: id,
            };
            plugin::Entity::insert(plugin::ActiveModel::from(row.clone()))
                .exec_without_returning(&write.transaction)
                .await
                .during("install a plugin")?;
            write.commit().await?;
            Ok(Plugin::new(row, file))
        })
        .await
    }

    /// Gives the plugin another file, and in the same revision the settings that come with it. `floor`, if given, is
    /// kept as the highest version that was ever enabled.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchPlugin`]; [`StoreError::Conflict`]; if the database fails.
    pub async fn upgrade(
        &self,
        name: &str,
        file: PluginFile,
        floor: Option<String>,
        changes: Vec<Change>,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        file.check()?;
        check(&changes)?;
        let name = name.to_owned();
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(expected)?;
            let before = find(&write.transaction, &name).await?;
            let changes = effective(&write, changes).await?;
            let id = write.revise(&entry, None).await?.number;
            write.put(&changes).await?;
            let previous = Some(before.version_id);
            let added = write.add(&name, file, previous, &entry.actor).await?;
            let after = plugin::Model {
                version_id: id,
                floor: floor.or(before.floor.clone()),
                ..before
            };
            write.keep(after, added).await
        })
        .await
    }

    /// Takes the plugin back to an earlier file: the one that the current took the place of, or the version `to`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoEarlierVersion`], [`StoreError::NoSuchVersion`], [`StoreError::NoSuchPlugin`];
    /// [`StoreError::Conflict`]; if the database fails.
    pub async fn roll_back(
        &self,
        name: &str,
        to: Option<i64>,
        floor: Option<String>,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        let name = name.to_owned();
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(expected)?;
            let before = find(&write.transaction, &name).await?;
            let current = version(&write.transaction, &name, before.version_id).await?;
            let current = current.ok_or_else(|| without_file(&name))?;
            let id = to
                .or(current.previous)
                .ok_or_else(|| StoreError::NoEarlierVersion(name.clone()))?;
            let target = version(&write.transaction, &name, id).await?;
            let target = target.ok_or_else(|| StoreError::NoSuchVersion {
                plugin: name.clone(),
                id,
            })?;
            write.revise(&entry, None).await?;
            let after = plugin::Model {
                version_id: id,
                floor: floor.or(before.floor.clone()),
                ..before
            };
            write.keep(after, target).await
        })
        .await
    }

    /// Says whether the plugin shall run.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchPlugin`]; [`StoreError::Conflict`]; if the database fails.
    pub async fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
        floor: Option<String>,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        self.amend(name, expected, entry, move |row| {
            row.enabled = enabled;
            row.floor = floor.or(row.floor.take());
        })
        .await
    }

    /// Says how the plugin is kept apart.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchPlugin`]; [`StoreError::Conflict`]; if the database fails.
    pub async fn set_isolation(
        &self,
        name: &str,
        isolation: &str,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        short("the isolation", isolation)?;
        let isolation = isolation.to_owned();
        self.amend(name, expected, entry, move |row| row.isolation = isolation)
            .await
    }

    /// Takes the plugin out, with its versions, every override below `plugins.NAME`, and those that `changes` names
    /// beside. Answers what it was.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchPlugin`]; [`StoreError::Conflict`]; if the database fails.
    pub async fn uninstall(
        &self,
        name: &str,
        changes: Vec<Change>,
        expected: Option<u64>,
        entry: Entry,
    ) -> Result<Plugin, StoreError> {
        let name = name.to_owned();
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(expected)?;
            let row = find(&write.transaction, &name).await?;
            let file = version(&write.transaction, &name, row.version_id).await?;
            let file = file.ok_or_else(|| without_file(&name))?;
            let changes = without(&write, &name, changes).await?;
            check(&changes)?;
            let changes = effective(&write, changes).await?;
            write.revise(&entry, None).await?;
            write.put(&changes).await?;
            plugin::Entity::delete_by_id(&name)
                .exec(&write.transaction)
                .await
                .during("uninstall a plugin")?;
            plugin_version::Entity::delete_many()
                .filter(plugin_version::Column::Plugin.eq(&name))
                .exec(&write.transaction)
                .await
                .during("uninstall a plugin")?;
            write.commit().await?;
            Ok(Plugin::new(row, file))
        })
        .await
    }

    async fn amend(
        &self,
        name: &str,
        expected: Option<u64>,
        entry: Entry,
        change: impl FnOnce(&mut plugin::Model) + Send + 'static,
    ) -> Result<Plugin, StoreError> {
        let name = name.to_owned();
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(expected)?;
            let mut row = find(&write.transaction, &name).await?;
            let file = version(&write.transaction, &name, row.version_id).await?;
            let file = file.ok_or_else(|| without_file(&name))?;
            write.revise(&entry, None).await?;
            change(&mut row);
            write.keep(row, file).await
        })
        .await
    }
}

impl Write {
    /// Adds a version, under the number of the revision that was just made.
    async fn add(
        &self,
        plugin: &str,
        file: PluginFile,
        previous: Option<i64>,
        by: &str,
    ) -> Result<plugin_version::Model, StoreError> {
        let row = plugin_version::Model {
            id: self.revision().cast_signed(),
            plugin: plugin.to_owned(),
            path: file.path.to_string_lossy().into_owned(),
            sha256: file.sha256,
            version: file.version,
            previous,
            added_at: self.now.as_millis(),
            added_by: by.chars().take(200).collect(),
        };
        plugin_version::Entity::insert(plugin_version::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.transaction)
            .await
            .during("add a version of a plugin")?;
        Ok(row)
    }

    /// Writes the plugin as it is from this revision on, and commits.
    async fn keep(
        self,
        row: plugin::Model,
        file: plugin_version::Model,
    ) -> Result<Plugin, StoreError> {
        let row = plugin::Model {
            revision: self.revision().cast_signed(),
            ..row
        };
        let changed = row.clone().into_active_model().reset_all();
        let updated = changed.update(&self.transaction).await;
        updated.during("change a plugin")?;
        self.commit().await?;
        Ok(Plugin::new(row, file))
    }
}

impl PluginFile {
    /// What the columns hold.
    fn check(&self) -> Result<(), StoreError> {
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(StoreError::Invalid {
                what: "the file's SHA-256".to_owned(),
                problem: "expected 64 hexadecimal digits".to_owned(),
            });
        }
        if self.path.to_str().is_none() {
            return Err(StoreError::Invalid {
                what: "the file's path".to_owned(),
                problem: "it is not UTF-8".to_owned(),
            });
        }
        short("the file's version", &self.version)
    }
}

/// The overrides that go with a plugin.
async fn without(
    write: &Write,
    name: &str,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>, StoreError> {
    let top = format!("plugins.{name}");
    let own = in_force(&write.transaction).await?.into_keys();
    for key in own.filter(|key| key::is_within(key, &top)) {
        changes.retain(|change| change.key != key);
        changes.push(Change::remove(key));
    }
    Ok(changes)
}

fn short(what: &str, text: &str) -> Result<(), StoreError> {
    if (1..=MAX_NAME).contains(&text.len()) && text.trim() == text {
        return Ok(());
    }
    Err(StoreError::Invalid {
        what: what.to_owned(),
        problem: format!("expected 1 to {MAX_NAME} bytes"),
    })
}
