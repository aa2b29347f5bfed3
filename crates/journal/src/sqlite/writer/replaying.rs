//! Replay: a delivery again, as an exception row. Cursors never go back.

use coordinator_message::Timestamp;
use sea_orm::sqlx::{AssertSqlSafe, SqliteConnection, query, query_as};

use super::Writer;
use super::choosing::{self, Lies, Named};
use super::waiting::next_replay;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::MESSAGE;
use crate::sqlite::state::{Handler, Shared, State};
use crate::{Replay, Replayed};

/// One delivery that was scheduled.
struct Scheduled {
    handler: i64,
    due: Timestamp,
    was_dead: bool,
    /// It had an exception row: was it given up, holding its ordering key?
    waited: Option<bool>,
}

/// What a batch scheduled, to be made known after the commit.
#[derive(Default)]
struct Batch {
    scheduled: Vec<Scheduled>,
    /// Messages that are in the log again.
    returned: u64,
    /// Messages that have their payload again, and their types.
    refilled: Vec<(u64, i64)>,
}

impl Writer {
    /// Schedules the deliveries, all in one write.
    pub(super) async fn replay(&mut self, batch: &[Replay]) -> Result<Vec<Replayed>, StoreError> {
        let outcome = self.try_replay(batch).await;
        self.checked(outcome)
    }

    async fn try_replay(&mut self, batch: &[Replay]) -> Result<Vec<Replayed>, StoreError> {
        let shared = self.shared.clone();
        let names = batch.iter().map(|one| one.handler.as_deref());
        let _turns = choosing::hold(&shared, names).await;
        let mut transaction = self.begin().await?;
        let mut done = Batch::default();
        let mut answers = Vec::with_capacity(batch.len());
        for one in batch {
            answers.push(done.replay(&mut transaction, &shared, one).await?);
        }
        transaction.commit().await?;
        for (position, ty) in &done.refilled {
            self.payloads.left(*position, *ty);
        }
        done.apply(&mut shared.state());
        Ok(answers)
    }
}

impl Batch {
    async fn replay(
        &mut self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        replay: &Replay,
    ) -> Result<Replayed, StoreError> {
        let Some(found) = choosing::find(connection, replay.message).await? else {
            return Ok(Replayed::NotFound);
        };
        let handlers = {
            let state = shared.state();
            let Some(mut handlers) = bound(&state, found, replay.handler.as_deref()) else {
                return Ok(Replayed::NotFound);
            };
            handlers.retain(|id| is_settled(&state.handlers[id], found));
            handlers
        };
        if found.lies == Lies::Delayed || handlers.is_empty() {
            return Ok(Replayed::Scheduled(0));
        }
        if !self.give_back(connection, found).await? {
            return Ok(Replayed::PayloadDropped);
        }
        let mut count = 0;
        for id in handlers {
            let due = replay.due.unwrap_or_default();
            if let Some(one) = schedule(connection, id, found, due).await? {
                self.scheduled.push(one);
                count += 1;
            }
        }
        Ok(Replayed::Scheduled(count))
    }

    /// Sees to it that the message is in the log with its payload, from a dead letter's copy if need be. False if
    /// there is none.
    async fn give_back(
        &mut self,
        connection: &mut SqliteConnection,
        found: Named,
    ) -> Result<bool, StoreError> {
        let position = found.position.cast_signed();
        match found.lies {
            Lies::Logged | Lies::Delayed => Ok(true),
            Lies::Buried => {
                // Back at its old position: every cursor is past it, so nobody else gets it.
                let sql = format!(
                    "INSERT OR IGNORE INTO message ({MESSAGE}) SELECT {MESSAGE} FROM dead WHERE seq = ? LIMIT 1"
                );
                query(AssertSqlSafe(sql))
                    .bind(position)
                    .execute(connection)
                    .await?;
                self.returned += 1;
                Ok(true)
            }
            Lies::Dropped => {
                let filled = query(
                    "UPDATE message SET data = d.data, dropped = 0
                     FROM (SELECT data FROM dead WHERE seq = ?1 LIMIT 1) d WHERE message.seq = ?1",
                )
                .bind(position)
                .execute(connection)
                .await?;
                self.refilled.push((found.position, found.ty));
                Ok(filled.rows_affected() > 0)
            }
        }
    }

    fn apply(&self, state: &mut State) {
        state.messages += self.returned;
        for one in &self.scheduled {
            if let Some(handler) = state.handlers.get_mut(&one.handler) {
                handler.dead = handler.dead.saturating_sub(u64::from(one.was_dead));
                match one.waited {
                    None => handler.exceptions += 1,
                    Some(parked) => {
                        handler.parked = handler.parked.saturating_sub(u64::from(parked));
                    }
                }
                handler.due_at(one.due);
            }
        }
    }
}

/// Nothing of it is handed out or still to come from the log.
fn is_settled(handler: &Handler, found: Named) -> bool {
    let cursor = &handler.cursor;
    let to_come = handler.concerns(found.ty, found.position) && !cursor.is_past(found.position);
    cursor.handed(found.position).is_none() && !to_come
}

/// The handlers that are meant and bound to the type; `None` if the named one is not.
fn bound(state: &State, found: Named, name: Option<&str>) -> Option<Vec<i64>> {
    let mut handlers = choosing::handlers(state, name)?;
    handlers.retain(|id| state.handlers[id].types.contains_key(&found.ty));
    (name.is_none() || !handlers.is_empty()).then_some(handlers)
}

/// Writes one exception row, and takes the dead letter off. `None` if the delivery is still to come: it waits behind
/// its ordering key, or was not begun since it was scheduled.
async fn schedule(
    connection: &mut SqliteConnection,
    handler: i64,
    found: Named,
    due: Timestamp,
) -> Result<Option<Scheduled>, StoreError> {
    let position = found.position.cast_signed();
    let waiting: Option<(u32, i64)> =
        query_as("SELECT attempt, state FROM exception WHERE handler = ? AND seq = ?")
            .bind(handler)
            .bind(position)
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((_, 1) | (0, 0)) = waiting {
        return Ok(None);
    }
    let dead = query("DELETE FROM dead WHERE handler = ? AND seq = ?")
        .bind(handler)
        .bind(position)
        .execute(&mut *connection)
        .await?;
    next_replay(connection, handler, found.position, due).await?;
    Ok(Some(Scheduled {
        handler,
        due,
        was_dead: dead.rows_affected() > 0,
        waited: waiting.map(|(_, state)| state != 0),
    }))
}
