//! What one node has at a time, and does once: roles, and the ticks of schedules.

use std::time::Duration;

use sea_orm::sqlx::{query, query_scalar};

use super::Writer;
use super::messages::Batch;
use crate::sqlite::error::StoreError;
use crate::{NewMessage, Tick};

/// Takes a role that is free, expired, or the holder's own; another holder makes another term.
const TAKE: &str = "INSERT INTO role (name, holder, until, term) VALUES (?1, ?2, ?3, 1)
     ON CONFLICT (name) DO UPDATE
     SET term = role.term + (role.holder <> excluded.holder), holder = excluded.holder, until = excluded.until
     WHERE role.holder = excluded.holder OR role.until <= ?4
     RETURNING term";

impl Writer {
    /// Takes or keeps a role; answers its term, or `None` while somebody else has it.
    pub(super) async fn lead(
        &mut self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let outcome = self.try_lead(role, holder, ttl).await;
        self.checked(outcome)
    }

    async fn try_lead(
        &mut self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let now = self.shared.clock.now();
        let mut transaction = self.begin().await?;
        let term: Option<i64> = query_scalar(TAKE)
            .bind(role)
            .bind(holder)
            .bind(now.after(ttl).as_millis())
            .bind(now.as_millis())
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(term.map(i64::cast_unsigned))
    }

    /// Gives a role up, if the holder has it.
    pub(super) async fn resign(&mut self, role: &str, holder: &str) -> Result<(), StoreError> {
        let outcome = self.try_resign(role, holder).await;
        self.checked(outcome)
    }

    async fn try_resign(&mut self, role: &str, holder: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // Nobody's name is empty, so that the next holder, even the same, begins another term.
        query("UPDATE role SET holder = '', until = 0 WHERE name = ? AND holder = ?")
            .bind(role)
            .bind(holder)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Publishes what a schedule publishes, unless it has ticked at that time or later.
    pub(super) async fn tick(&mut self, tick: &Tick) -> Result<bool, StoreError> {
        let outcome = self.try_tick(tick).await;
        self.checked(outcome)
    }

    async fn try_tick(&mut self, tick: &Tick) -> Result<bool, StoreError> {
        let shared = self.shared.clone();
        let now = shared.clock.now().max(shared.state().accepted);
        let mut transaction = self.begin().await?;
        let marked = query(
            "INSERT INTO schedule (name, at) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE schedule.at < excluded.at",
        )
        .bind(&tick.schedule)
        .bind(tick.at.as_millis())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if marked == 0 {
            return Ok(false);
        }
        let messages: Vec<&NewMessage> = tick.message.iter().collect();
        let batch = Batch::store(&mut transaction, &shared, &messages, now, || ()).await?;
        transaction.commit().await?;
        batch.apply(&mut shared.state());
        Ok(true)
    }
}
