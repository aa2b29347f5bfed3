//! How what is in force came to be, and the way back.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde_json::Value;

use crate::entity::{counter, revision, revision_change};
use crate::error::{During as _, StoreError};
use crate::key;
use crate::open::Store;
use crate::overrides::{Change, RecordedChange, Revision, in_force, value};
use crate::page::{self, Page};

/// Which revisions are asked for.
#[derive(Debug, Clone, Default)]
pub struct RevisionQuery {
    /// Only those that changed this key or one below it, such as `wiring` or `plugins.lms.settings`.
    pub below: Option<String>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Revisions in a page: 1 to 500.
    pub limit: usize,
}

impl Store {
    /// A page of revisions, newest first, each with all its changes.
    ///
    /// # Errors
    ///
    /// If the cursor is none of ours, or the database fails.
    pub async fn revisions(&self, query: &RevisionQuery) -> Result<Page<Revision>, StoreError> {
        let limit = page::within(query.limit);
        let cursor = page::read(query.cursor.as_deref())?;
        let below = query.below.clone();
        self.bounded(move |store| async move {
            let mut select = revision::Entity::find().order_by_desc(revision::Column::Number);
            if let Some(cursor) = cursor {
                select = select.filter(revision::Column::Number.lt(cursor));
            }
            if let Some(top) = &below {
                let mut numbers = revision_change::Entity::find()
                    .select_only()
                    .column(revision_change::Column::Revision)
                    .filter(key::within(revision_change::Column::Key, top));
                let numbers = sea_orm::QueryTrait::query(&mut numbers).to_owned();
                select = select.filter(revision::Column::Number.in_subquery(numbers));
            }
            let rows = select
                .limit(limit as u64 + 1)
                .all(&store.database())
                .await
                .during("read the history")?;
            let page = Page::cut(rows, limit, |row| row.number);
            let numbers = page.items.iter().map(|row| row.number);
            let mut changes = changes_of(&store.database(), numbers.collect()).await?;
            let items = page.items.into_iter().map(|row| {
                let changes = changes.remove(&row.number).unwrap_or_default();
                Revision::new(row, changes)
            });
            Ok(Page {
                items: items.collect(),
                next: page.next,
            })
        })
        .await
    }

    /// The changes that would make the overrides what they were right after `revision`; 0 is before the first. With
    /// `below`, only those of this key and below it. Made by [`Store::apply`], once they were found to be right.
    ///
    /// # Errors
    ///
    /// If there is no such revision, or the database fails.
    pub async fn changes_back_to(
        &self,
        revision: u64,
        below: Option<&str>,
    ) -> Result<Vec<Change>, StoreError> {
        let below = below.map(str::to_owned);
        self.bounded(move |store| async move {
            let reading = store.read().await?;
            let newest = counter::Entity::find_by_id(counter::REVISION)
                .one(&reading)
                .await
                .during("read the newest revision")?;
            let newest = counter::value(newest)?;
            if revision > newest {
                return Err(StoreError::NoSuchRevision(revision, newest));
            }
            let mut select = revision_change::Entity::find()
                .filter(revision_change::Column::Revision.gt(revision.cast_signed()))
                .order_by_desc(revision_change::Column::Revision);
            if let Some(top) = &below {
                select = select.filter(key::within(revision_change::Column::Key, top));
            }
            let since = select.all(&reading).await.during("read the history")?;
            let current = in_force(&reading).await?;
            reading.rollback().await.during("end the reading")?;
            // Newest first, so the last word on a key is what it was before the oldest of its changes.
            let mut then: BTreeMap<String, Option<Value>> = BTreeMap::new();
            for change in since {
                then.insert(change.key, stored(change.before)?);
            }
            let differs = |(key, value): &(String, Option<Value>)| {
                current.get(key).map(|set| &set.value) != value.as_ref()
            };
            let back = then.into_iter().filter(differs);
            Ok(back.map(|(key, value)| Change { key, value }).collect())
        })
        .await
    }
}

/// The changes of these revisions, in their order.
async fn changes_of(
    reading: &impl ConnectionTrait,
    revisions: Vec<i64>,
) -> Result<BTreeMap<i64, Vec<RecordedChange>>, StoreError> {
    let rows = revision_change::Entity::find()
        .filter(revision_change::Column::Revision.is_in(revisions))
        .order_by_asc(revision_change::Column::Revision)
        .order_by_asc(revision_change::Column::Position)
        .all(reading)
        .await
        .during("read the history")?;
    let mut changes: BTreeMap<i64, Vec<RecordedChange>> = BTreeMap::new();
    for row in rows {
        changes
            .entry(row.revision)
            .or_default()
            .push(RecordedChange {
                key: row.key,
                before: stored(row.before)?,
                after: stored(row.after)?,
            });
    }
    Ok(changes)
}

fn stored(text: Option<String>) -> Result<Option<Value>, StoreError> {
    text.as_deref().map(value).transpose()
}
