//! One write: everything in it happens, in the order in which writers came, or nothing does.

use coordinator_message::Timestamp;
use sea_orm::{
    AccessMode, ActiveModelTrait as _, ActiveValue::Set, DatabaseTransaction, EntityTrait as _,
    IsolationLevel, QueryOrder as _, QuerySelect as _, SqliteTransactionMode, TransactionOptions,
    TransactionTrait as _,
};
use tokio::sync::OwnedMutexGuard;

use crate::Entry;
use crate::entity::{counter, revision};
use crate::error::{During as _, StoreError};
use crate::open::Store;

/// A write that has begun. Dropped without [`Write::commit`], it never was.
pub(crate) struct Write {
    pub(crate) transaction: DatabaseTransaction,
    pub(crate) now: Timestamp,
    /// Numbers that were given last: by others, or within this write.
    revision: u64,
    audit: u64,
    _turn: OwnedMutexGuard<()>,
}

impl Store {
    /// Begins a write, behind those that came before, in this process and in others: the counters' rows are locked until
    /// it ends, so what is read from here on is the newest and stays so.
    pub(crate) async fn write(&self) -> Result<Write, StoreError> {
        // No longer than its caller waits: nobody is told that it failed, and then it is made all the same.
        let turn = tokio::time::timeout(self.timeout, self.turn.clone().lock_owned())
            .await
            .map_err(|_| StoreError::Timeout(self.timeout))?;
        let options = TransactionOptions {
            // A transaction that begins by reading cannot become one that writes, if another wrote in between.
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.database().begin_with_options(options).await;
        let transaction = begun.during("begin a change")?;
        let counters = counter::Entity::find()
            .order_by_asc(counter::Column::Name)
            .lock_exclusive()
            .all(&transaction)
            .await
            .during("begin a change")?;
        let number = |name: &str| {
            let found = counters.iter().find(|counter| counter.name == name);
            counter::value(found.cloned())
        };
        Ok(Write {
            revision: number(counter::REVISION)?,
            audit: number(counter::AUDIT)?,
            transaction,
            now: Timestamp::now(),
            _turn: turn,
        })
    }

    /// Begins to read several things as they were at one moment.
    pub(crate) async fn read(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = if self.is_sqlite() {
            TransactionOptions::default()
        } else {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            }
        };
        let begun = self.database().begin_with_options(options).await;
        begun.during("begin to read")
    }
}

impl Write {
    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Refuses what was planned for another revision than the one in force.
    pub(crate) fn expect(&self, expected: Option<u64>) -> Result<(), StoreError> {
        match expected {
            Some(expected) if expected != self.revision => Err(StoreError::Conflict {
                expected,
                found: self.revision,
            }),
            _ => Ok(()),
        }
    }

    /// Makes the next revision, and its entry in the audit log.
    pub(crate) async fn revise(
        &mut self,
        entry: &Entry,
        reverts: Option<u64>,
    ) -> Result<revision::Model, StoreError> {
        self.revision += 1;
        let entry = entry.fitting();
        let row = revision::Model {
            number: self.revision.cast_signed(),
            at: self.now.as_millis(),
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            subject: entry.subject.clone(),
            reason: entry.reason.clone(),
            reverts: reverts.map(u64::cast_signed),
        };
        revision::Entity::insert(revision::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.transaction)
            .await
            .during("write a revision")?;
        self.count(counter::REVISION, self.revision).await?;
        self.append(&entry).await?;
        Ok(row)
    }

    /// The next place in the audit log.
    pub(crate) fn next_audit(&mut self) -> u64 {
        self.audit += 1;
        self.audit
    }

    pub(crate) async fn count(&self, name: &str, value: u64) -> Result<(), StoreError> {
        let row = counter::ActiveModel {
            name: Set(name.to_owned()),
            value: Set(value.cast_signed()),
        };
        let updated = row.update(&self.transaction).await;
        updated.during("count a change").map(drop)
    }

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.during("commit a change")
    }
}
