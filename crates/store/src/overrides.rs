//! What operators set over the configuration file: change sets, applied as a whole, and what is in force.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_message::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait, QueryFilter as _};
use serde::Serialize;
use serde_json::Value;

use crate::entity::{counter, overriding, revision, revision_change};
use crate::error::{During as _, StoreError};
use crate::open::Store;
use crate::transaction::Write;
use crate::{Entry, Plugin, key, plugins};

/// Bytes of the largest value, as JSON.
const MAX_VALUE: usize = 60 * 1024;
/// Changes in one set at most.
const MAX_CHANGES: usize = 1000;

/// What is set, by key.
pub type Overrides = BTreeMap<String, Override>;

/// One value that an operator has set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Override {
    /// The value.
    pub value: Value,
    /// The revision that set it.
    pub revision: u64,
}

/// Everything that is in force, read at one moment. By default, that nothing was ever changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// The newest revision.
    pub revision: u64,
    /// Installed plugins, by name.
    pub plugins: Vec<Plugin>,
    /// What is set over the configuration file.
    pub overrides: Overrides,
}

/// One change that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The setting, such as `wiring.handlers."lms.enrol".max_attempts`.
    pub key: String,
    /// Its value; `None` takes the override away, and the file decides again.
    pub value: Option<Value>,
}

/// Changes that are made together or not at all.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// The revision that they were planned for. Another one in force is a [`StoreError::Conflict`].
    pub expected: Option<u64>,
    /// The changes, each key once.
    pub changes: Vec<Change>,
    /// The revision that they go back to, for the history.
    pub reverts: Option<u64>,
    /// Who, why, and what the audit log shall say.
    pub entry: Entry,
}

/// A change set that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Revision {
    /// Its number; they have no gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done, such as `settings.set` or `plugin.upgrade`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// The revision that it went back to.
    pub reverts: Option<u64>,
    /// What it changed, in its order.
    pub changes: Vec<RecordedChange>,
}

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordedChange {
    /// The setting.
    pub key: String,
    /// Its value before; absent if there was no override.
    pub before: Option<Value>,
    /// Its value since; absent if the override was taken away.
    pub after: Option<Value>,
}

impl Change {
    /// Sets a value.
    #[must_use]
    pub fn set(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// Takes an override away.
    #[must_use]
    pub fn remove(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

impl Store {
    /// Plugins and overrides in force, with the revision that made them so.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.bounded(move |store| async move {
            let reading = store.read().await?;
            let row = counter::Entity::find_by_id(counter::REVISION)
                .one(&reading)
                .await
                .during("read the newest revision")?;
            let snapshot = Snapshot {
                revision: counter::value(row)?,
                plugins: plugins::all(&reading).await?,
                overrides: in_force(&reading).await?,
            };
            // Nothing was written: it only ends the reading.
            reading.rollback().await.during("end the reading")?;
            Ok(snapshot)
        })
        .await
    }

    /// Makes the changes, all or none, as the next revision. `None`: everything was as asked already, and nothing was
    /// written, the audit log included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if another revision than the expected one is in force; if a key or value cannot be; if
    /// the database fails.
    pub async fn apply(&self, set: ChangeSet) -> Result<Option<Revision>, StoreError> {
        check(&set.changes)?;
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            write.expect(set.expected)?;
            let changes = effective(&write, set.changes).await?;
            if changes.is_empty() {
                return Ok(None);
            }
            let row = write.revise(&set.entry, set.reverts).await?;
            write.put(&changes).await?;
            write.commit().await?;
            Ok(Some(Revision::new(row, changes)))
        })
        .await
    }
}

impl Write {
    /// Writes the changes of the revision that was just made.
    pub(crate) async fn put(&self, changes: &[RecordedChange]) -> Result<(), StoreError> {
        let number = self.revision().cast_signed();
        for (position, change) in changes.iter().enumerate() {
            let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
            match text(&change.after) {
                Some(value) => set(&self.transaction, &change.key, value, number).await?,
                None => remove(&self.transaction, &change.key).await?,
            }
            let row = revision_change::Model {
                revision: number,
                position: i32::try_from(position).unwrap_or(i32::MAX),
                key: change.key.clone(),
                before: text(&change.before),
                after: text(&change.after),
            };
            revision_change::Entity::insert(revision_change::ActiveModel::from(row))
                .exec_without_returning(&self.transaction)
                .await
                .during("write the history of a change")?;
        }
        Ok(())
    }
}

impl Revision {
    pub(crate) fn new(row: revision::Model, changes: Vec<RecordedChange>) -> Self {
        Self {
            number: row.number.cast_unsigned(),
            at: Timestamp::from_millis(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            reason: row.reason,
            reverts: row.reverts.map(i64::cast_unsigned),
            changes,
        }
    }
}

/// Refuses what can be seen to be wrong before the database is asked.
pub(crate) fn check(changes: &[Change]) -> Result<(), StoreError> {
    let invalid = |key: &str, problem: String| StoreError::Invalid {
        what: format!("`{key}`"),
        problem,
    };
    if changes.len() > MAX_CHANGES {
        return Err(StoreError::Invalid {
            what: "the change set".to_owned(),
            problem: format!("at most {MAX_CHANGES} changes are made at once"),
        });
    }
    let mut seen = BTreeSet::new();
    for change in changes {
        key::check(&change.key)?;
        if !seen.insert(&change.key) {
            return Err(invalid(&change.key, "changed twice in one set".to_owned()));
        }
        let size = change.value.as_ref().map(|value| value.to_string().len());
        if size.is_some_and(|size| size > MAX_VALUE) {
            let problem = format!("a value has at most {MAX_VALUE} bytes as JSON");
            return Err(invalid(&change.key, problem));
        }
    }
    Ok(())
}

/// The changes that change something, with what was before. Refuses those after which a key and one below it are set.
pub(crate) async fn effective(
    write: &Write,
    changes: Vec<Change>,
) -> Result<Vec<RecordedChange>, StoreError> {
    let mut values: BTreeMap<String, Value> = in_force(&write.transaction)
        .await?
        .into_iter()
        .map(|(key, set)| (key, set.value))
        .collect();
    let mut recorded = Vec::new();
    for Change { key, value } in changes {
        let before = match value.clone() {
            Some(value) => values.insert(key.clone(), value),
            None => values.remove(&key),
        };
        if before != value {
            recorded.push(RecordedChange {
                key,
                before,
                after: value,
            });
        }
    }
    let set = recorded.iter().filter(|change| change.after.is_some());
    let set: Vec<&String> = set.map(|change| &change.key).collect();
    match key::overlap(values.keys(), &set) {
        Some((key, within)) => Err(StoreError::Overlaps {
            key: key.clone(),
            within: within.clone(),
        }),
        None => Ok(recorded),
    }
}

/// What is set now.
pub(crate) async fn in_force(reading: &impl ConnectionTrait) -> Result<Overrides, StoreError> {
    let rows = overriding::Entity::find().all(reading).await;
    rows.during("read the overrides")?
        .into_iter()
        .map(|row| {
            let set = Override {
                value: value(&row.value)?,
                revision: row.revision.cast_unsigned(),
            };
            Ok((row.key, set))
        })
        .collect()
}

/// A value as it is stored.
pub(crate) fn value(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Damaged("the value of an override is not JSON".to_owned()))
}

async fn set(
    to: &impl ConnectionTrait,
    key: &str,
    value: String,
    revision: i64,
) -> Result<(), StoreError> {
    let row = overriding::Model {
        key: key.to_owned(),
        value,
        revision,
    };
    let columns = [overriding::Column::Value, overriding::Column::Revision];
    overriding::Entity::insert(overriding::ActiveModel::from(row))
        .on_conflict(
            OnConflict::column(overriding::Column::Key)
                .update_columns(columns)
                .to_owned(),
        )
        .exec_without_returning(to)
        .await
        .during("set an override")
        .map(drop)
}

async fn remove(from: &impl ConnectionTrait, key: &str) -> Result<(), StoreError> {
    overriding::Entity::delete_many()
        .filter(overriding::Column::Key.eq(key))
        .exec(from)
        .await
        .during("remove an override")
        .map(drop)
}
