//! Whether the chain holds: each row's hash is its own, each names the one before, none is missing.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;

use super::chain;
use crate::entity::{audit_row, counter};
use crate::error::{During as _, StoreError};
use crate::open::Store;
use crate::page::MAX_LIMIT;

/// What was found in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Rows that hold, from the first on.
    pub rows: u64,
    /// The hash of the last of them. Written down elsewhere, it proves later that nothing before it was changed.
    pub head: Option<String>,
    /// The first row that does not hold.
    pub broken: Option<Broken>,
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The place in the log.
    pub sequence: u64,
    /// What is wrong there.
    pub reason: &'static str,
}

/// The chain, as far as it was followed.
struct Followed<'a> {
    report: AuditReport,
    previous: String,
    /// A row and its hash, as somebody has kept them elsewhere.
    kept: Option<&'a (u64, String)>,
}

impl Store {
    /// Reads the whole log and checks every row. Entries written meanwhile are left to the next time.
    ///
    /// Who can write to the database can also compute hashes: by itself this finds rows that were changed or taken out
    /// by hand, or lost. `kept`, the rows and the head of an earlier report that was kept elsewhere, proves that
    /// nothing up to there was rewritten since.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn verify_audit(
        &self,
        kept: Option<&(u64, String)>,
    ) -> Result<AuditReport, StoreError> {
        let counted = self
            .bounded(|store| async move { store.counted().await })
            .await?;
        let mut followed = Followed::new(kept);
        while followed.goes_on(counted) {
            let rows = followed.report.rows;
            let rows = self
                .bounded(move |store| async move { store.rows_after(rows).await })
                .await?;
            if rows.is_empty() {
                followed.break_off("the last rows are missing");
            }
            for row in rows {
                if followed.goes_on(counted) {
                    followed.follow(row);
                }
            }
        }
        Ok(followed.end())
    }

    /// How many entries were ever written.
    async fn counted(&self) -> Result<u64, StoreError> {
        let row = counter::Entity::find_by_id(counter::AUDIT)
            .one(&self.database())
            .await;
        counter::value(row.during("read the end of the audit log")?)
    }

    async fn rows_after(&self, sequence: u64) -> Result<Vec<audit_row::Model>, StoreError> {
        let rows = audit_row::Entity::find()
            .filter(audit_row::Column::Sequence.gt(sequence.cast_signed()))
            .order_by_asc(audit_row::Column::Sequence)
            .limit(MAX_LIMIT as u64)
            .all(&self.database())
            .await;
        rows.during("read the audit log")
    }
}

impl<'a> Followed<'a> {
    fn new(kept: Option<&'a (u64, String)>) -> Self {
        Self {
            report: AuditReport {
                rows: 0,
                head: None,
                broken: None,
            },
            previous: chain::beginning(),
            kept,
        }
    }

    fn goes_on(&self, counted: u64) -> bool {
        self.report.broken.is_none() && self.report.rows < counted
    }

    fn follow(&mut self, row: audit_row::Model) {
        let next = self.report.rows + 1;
        if row.sequence.cast_unsigned() != next {
            self.break_off("the row is missing");
        } else if row.previous != self.previous {
            self.break_off("the row does not follow the one before it");
        } else if row.hash != chain::hash(&row) {
            self.break_off("the row was changed");
        } else if self
            .kept
            .is_some_and(|kept| kept.0 == next && kept.1 != row.hash)
        {
            self.break_off(
                "the log up to here was rewritten: the row has another hash than was kept",
            );
        } else {
            self.report.rows = next;
            self.previous = row.hash;
        }
    }

    fn break_off(&mut self, reason: &'static str) {
        self.report.broken = Some(Broken {
            sequence: self.report.rows + 1,
            reason,
        });
    }

    fn end(mut self) -> AuditReport {
        let is_shorter = self.kept.is_some_and(|kept| kept.0 > self.report.rows);
        if self.report.broken.is_none() && is_shorter {
            self.break_off("the log is shorter than it was");
        }
        self.report.head = (self.report.rows > 0).then_some(self.previous);
        self.report
    }
}
