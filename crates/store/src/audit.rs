//! The audit log: who did what, in a chain of rows of which none can be changed or taken out unnoticed.

mod chain;
mod verify;

use coordinator_message::Timestamp;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use serde_json::{Value, json};

pub use verify::{AuditReport, Broken};

use crate::entity::{audit_row, counter};
use crate::error::{During as _, StoreError};
use crate::open::Store;
use crate::page::{self, Page};
use crate::transaction::Write;

/// Bytes of the longest detail, as JSON.
const MAX_DETAIL: usize = 60 * 1024;
/// Letters of the longest reason.
const MAX_REASON: usize = 2000;

/// What somebody did. Never with a secret in it: the caller has replaced those.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who, such as the name of an API key.
    pub actor: String,
    /// What, as `noun.verb`: `plugin.install`, `settings.set`.
    pub action: String,
    /// To what: a plugin, a setting, a message.
    pub subject: String,
    /// What else there is to know.
    pub detail: Value,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
}

/// An entry as it was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRecord {
    /// Its place; they have no gaps.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else there is to know.
    pub detail: Value,
    /// Why.
    pub reason: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// SHA-256 of the row and of the hash before it.
    pub hash: String,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Of this actor.
    pub actor: Option<String>,
    /// With this action, or those that begin with it and a dot: `plugin` finds `plugin.install`.
    pub action: Option<String>,
    /// With this subject.
    pub subject: Option<String>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Entries in a page: 1 to 500.
    pub limit: usize,
}

impl Store {
    /// Writes an entry that belongs to no change of the store, such as a replay or a refused attempt.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn record(&self, entry: Entry) -> Result<AuditRecord, StoreError> {
        self.bounded(move |store| async move {
            let mut write = store.write().await?;
            let row = write.append(&entry.fitting()).await?;
            write.commit().await?;
            AuditRecord::try_from(row)
        })
        .await
    }

    /// A page of the log, newest first.
    ///
    /// # Errors
    ///
    /// If the cursor is none of ours, or the database fails.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRecord>, StoreError> {
        let limit = page::within(query.limit);
        let cursor = page::read(query.cursor.as_deref())?;
        let mut select = audit_row::Entity::find().order_by_desc(audit_row::Column::Sequence);
        if let Some(cursor) = cursor {
            select = select.filter(audit_row::Column::Sequence.lt(cursor));
        }
        if let Some(actor) = &query.actor {
            select = select.filter(audit_row::Column::Actor.eq(actor));
        }
        if let Some(action) = &query.action {
            select = select.filter(crate::key::within(audit_row::Column::Action, action));
        }
        if let Some(subject) = &query.subject {
            select = select.filter(audit_row::Column::Subject.eq(subject));
        }
        if let Some(since) = query.since {
            select = select.filter(audit_row::Column::At.gte(since.as_millis()));
        }
        if let Some(until) = query.until {
            select = select.filter(audit_row::Column::At.lt(until.as_millis()));
        }
        let select = select.limit(limit as u64 + 1);
        let rows = self
            .bounded(move |store| async move {
                let rows = select.all(&store.database()).await;
                rows.during("read the audit log")
            })
            .await?;
        let page = Page::cut(rows, limit, |row| row.sequence);
        let items = page.items.into_iter().map(AuditRecord::try_from);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }
}

impl Write {
    /// Appends an entry that fits, behind the newest row.
    pub(crate) async fn append(&mut self, entry: &Entry) -> Result<audit_row::Model, StoreError> {
        let newest = audit_row::Entity::find()
            .order_by_desc(audit_row::Column::Sequence)
            .one(&self.transaction)
            .await
            .during("read the end of the audit log")?;
        let sequence = self.next_audit().cast_signed();
        let mut row = audit_row::Model {
            sequence,
            at: self.now.as_millis(),
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            subject: entry.subject.clone(),
            detail: entry.detail.to_string(),
            reason: entry.reason.clone(),
            address: entry.address.clone(),
            previous: newest.map_or_else(chain::beginning, |newest| newest.hash),
            hash: String::new(),
        };
        row.hash = chain::hash(&row);
        audit_row::Entity::insert(audit_row::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.transaction)
            .await
            .during("write the audit log")?;
        self.count(counter::AUDIT, sequence.cast_unsigned()).await?;
        Ok(row)
    }
}

impl Entry {
    /// The entry with its texts cut to what the columns hold: an entry that is too long is written all the same.
    pub(crate) fn fitting(&self) -> Self {
        let size = self.detail.to_string().len();
        Self {
            actor: clip(&self.actor, 200),
            action: clip(&self.action, 100),
            subject: clip(&self.subject, 500),
            detail: if size > MAX_DETAIL {
                json!({ "left_out_bytes": size })
            } else {
                self.detail.clone()
            },
            reason: self.reason.as_deref().map(|text| clip(text, MAX_REASON)),
            address: self.address.as_deref().map(|text| clip(text, 100)),
        }
    }
}

impl TryFrom<audit_row::Model> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: audit_row::Model) -> Result<Self, StoreError> {
        let detail = serde_json::from_str(&row.detail).map_err(|_| {
            let sequence = row.sequence;
            StoreError::Damaged(format!("the detail of audit entry {sequence} is not JSON"))
        })?;
        Ok(Self {
            sequence: row.sequence.cast_unsigned(),
            at: Timestamp::from_millis(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail,
            reason: row.reason,
            address: row.address,
            hash: row.hash,
        })
    }
}

fn clip(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept = text.chars().take(letters - 1);
    kept.chain(['…']).collect()
}
