//! One change of what operators decided: foreseen, brought to life beside what runs, stored, and put in force. It fails
//! as a whole at whichever of these it fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator_gateway::operator::By;
use coordinator_message::Timestamp;
use coordinator_store::{
    Change, ChangeSet, Entry, NewPlugin, Override, Plugin, PluginFile, Snapshot, Store, StoreError,
};
use serde_json::Value;

use super::error::AppError;
use super::house::{House, Scope};
use super::store::{floors, layer};

/// A change, and what the audit log says of it.
pub(super) struct Draft {
    pub(super) write: Write,
    /// `plugin.install`, `wiring.set`, …
    pub(super) action: &'static str,
    pub(super) subject: String,
    /// Never with a secret in it.
    pub(super) detail: Value,
    pub(super) comment: Option<String>,
    /// The plugin that must run after it.
    pub(super) touched: Option<String>,
}

/// What the store is to hold.
pub(super) enum Write {
    Overrides {
        changes: Vec<Change>,
        reverts: Option<u64>,
    },
    Install(NewPlugin),
    Upgrade {
        name: String,
        file: PluginFile,
        floor: Option<String>,
        changes: Vec<Change>,
    },
    RollBack {
        name: String,
        /// The version to go back to, and its number.
        to: (i64, PluginFile),
        /// The number of the version that is left.
        from: i64,
    },
    Enable {
        name: String,
        enabled: bool,
    },
    Uninstall {
        name: String,
        changes: Vec<Change>,
    },
}

impl House {
    /// Makes one change; answers the revision that is in force after it.
    ///
    /// # Errors
    ///
    /// Why not; everything is as it was then.
    pub(super) async fn change(self: &Arc<Self>, by: &By, draft: Draft) -> Result<u64, AppError> {
        let mut current = self.current().await;
        let snapshot = self.store().snapshot().await.map_err(AppError::Store)?;
        let found = snapshot.revision;
        if let Some(expected) = by.expected.filter(|expected| *expected != found) {
            return Err(AppError::Store(StoreError::Conflict { expected, found }));
        }
        let mut next = snapshot;
        draft.write.foresee(&mut next);
        let missing = self.find_files(&current.plan, &mut next);
        let config = current.config().with_overrides(layer(&next))?;
        let scope = Scope {
            reread: false,
            touched: draft.touched.clone().into_iter().collect::<BTreeSet<_>>(),
            floors: floors(&next),
            missing,
        };
        let plan = self.prepare(&mut current, config, scope).await?;
        let entry = Entry {
            actor: format!("key:{}", by.key),
            action: draft.action.to_owned(),
            subject: draft.subject,
            detail: draft.detail,
            reason: draft.comment,
            address: by.address.clone(),
        };
        let stored = draft.write.store(self.store(), found, entry.clone()).await;
        if let Err(refused) = stored {
            current.give_up(&plan).await;
            return Err(AppError::Store(refused));
        }
        if let Err(refused) = self.swap(&mut current, plan).await {
            let entry = Entry {
                detail: Value::String(format!("taken back: {refused}")),
                ..entry
            };
            if let Err(error) = draft.write.undo(self.store(), found, entry).await {
                tracing::error!(error = %error, "a change that could not be put in force is in the database: it will be tried with the next one");
            }
            return Err(refused);
        }
        let now = self.store().revision().await.map_err(AppError::Store)?;
        self.is_at(&mut current, now);
        tracing::info!(
            api_key.id = by.key,
            revision = now,
            action = entry.action,
            subject = entry.subject,
            "`{}` of `{}` is in force, revision {now}",
            entry.action,
            entry.subject
        );
        Ok(now)
    }
}

impl Write {
    /// What the store would hold after it.
    fn foresee(&self, snapshot: &mut Snapshot) {
        match self {
            Self::Overrides { changes, .. } => set(snapshot, changes),
            Self::Install(new) => {
                set(snapshot, &new.changes);
                snapshot.plugins.push(Plugin {
                    name: new.name.clone(),
                    file: new.file.clone(),
                    version_id: 0,
                    previous: None,
                    enabled: new.enabled,
                    isolation: new.isolation.clone(),
                    floor: new.floor.clone(),
                    installed_at: Timestamp::now(),
                    revision: 0,
                });
            }
            Self::Upgrade {
                name,
                file,
                floor,
                changes,
            } => {
                set(snapshot, changes);
                amend(snapshot, name, |plugin| {
                    plugin.file = file.clone();
                    plugin.floor.clone_from(floor);
                });
            }
            Self::RollBack { name, to, .. } => amend(snapshot, name, |plugin| {
                plugin.file = to.1.clone();
                plugin.floor = Some(to.1.version.clone());
            }),
            Self::Enable { name, enabled } => {
                amend(snapshot, name, |plugin| plugin.enabled = *enabled);
            }
            Self::Uninstall { name, changes } => {
                set(snapshot, changes);
                let own = format!("plugins.{name}.");
                snapshot.overrides.retain(|key, _| !key.starts_with(&own));
                snapshot.plugins.retain(|plugin| plugin.name != *name);
            }
        }
    }

    async fn store(&self, store: &Store, found: u64, entry: Entry) -> Result<(), StoreError> {
        let expected = Some(found);
        match self {
            Self::Overrides { changes, reverts } => {
                let changes = ChangeSet {
                    expected,
                    changes: changes.clone(),
                    reverts: *reverts,
                    entry,
                };
                store.apply(changes).await.map(drop)
            }
            Self::Install(new) => store.install(new.clone(), expected, entry).await.map(drop),
            Self::Upgrade {
                name,
                file,
                floor,
                changes,
            } => {
                let (file, floor) = (file.clone(), floor.clone());
                let changes = changes.clone();
                let upgraded = store.upgrade(name, file, floor, changes, expected, entry);
                upgraded.await.map(drop)
            }
            Self::RollBack { name, to, .. } => {
                let floor = Some(to.1.version.clone());
                let rolled = store.roll_back(name, Some(to.0), floor, expected, entry);
                rolled.await.map(drop)
            }
            Self::Enable { name, enabled } => {
                let switched = store.set_enabled(name, *enabled, None, expected, entry);
                switched.await.map(drop)
            }
            Self::Uninstall { name, changes } => {
                let gone = store.uninstall(name, changes.clone(), expected, entry);
                gone.await.map(drop)
            }
        }
    }

    /// Takes back what was stored and could not be put in force. `before` is the revision before it.
    async fn undo(&self, store: &Store, before: u64, entry: Entry) -> Result<(), StoreError> {
        let back = store.changes_back_to(before, None).await?;
        match self {
            Self::Install(new) => {
                store.uninstall(&new.name, back, None, entry).await?;
                return Ok(());
            }
            Self::Upgrade { name, .. } => {
                store
                    .roll_back(name, None, None, None, entry.clone())
                    .await?;
            }
            Self::RollBack { name, from, .. } => {
                let from = Some(*from);
                store
                    .roll_back(name, from, None, None, entry.clone())
                    .await?;
            }
            Self::Enable { name, enabled } => {
                store
                    .set_enabled(name, !enabled, None, None, entry.clone())
                    .await?;
            }
            Self::Overrides { .. } | Self::Uninstall { .. } => {}
        }
        let set = ChangeSet {
            expected: None,
            changes: back,
            reverts: Some(before),
            entry,
        };
        store.apply(set).await.map(drop)
    }
}

fn set(snapshot: &mut Snapshot, changes: &[Change]) {
    for change in changes {
        match &change.value {
            Some(value) => {
                let set = Override {
                    value: value.clone(),
                    revision: 0,
                };
                snapshot.overrides.insert(change.key.clone(), set);
            }
            None => {
                snapshot.overrides.remove(&change.key);
            }
        }
    }
}

fn amend(snapshot: &mut Snapshot, name: &str, change: impl FnOnce(&mut Plugin)) {
    let found = snapshot.plugins.iter_mut().find(|it| it.name == name);
    if let Some(plugin) = found {
        change(plugin);
    }
}
