//! Replay: a delivery again, as an exception row that is due at once. Cursors never go back.

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::{AssertSqlSafe, SqliteConnection, query, query_as, query_scalar};

use super::Writer;
use super::waiting::{For, next_replay};
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::MESSAGE;
use crate::sqlite::state::{Handler, State};

/// A message that is to be replayed.
#[derive(Debug, Clone, Copy)]
struct Found {
    position: u64,
    ty: i64,
    /// In the log, not only in a dead letter.
    logged: bool,
}

/// One delivery that was scheduled.
struct Scheduled {
    handler: i64,
    was_dead: bool,
    was_waiting: bool,
    /// It was given up and held its ordering key.
    was_parked: bool,
}

impl Writer {
    /// Schedules the deliveries; `None` if there is no such message, or no such handler for it.
    pub(super) async fn replay(
        &mut self,
        message: MessageId,
        handler: Option<String>,
    ) -> Result<Option<u64>, StoreError> {
        let outcome = self.try_replay(message, handler.as_deref()).await;
        self.checked(outcome)
    }

    async fn try_replay(
        &mut self,
        message: MessageId,
        handler: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        let shared = self.shared.clone();
        let mut transaction = self.begin().await?;
        let Some(found) = find(&mut transaction, message).await? else {
            return Ok(None);
        };
        let (handlers, turns) = {
            let state = shared.state();
            let Some(handlers) = targets(&state, found, handler) else {
                return Ok(None);
            };
            let turns: Vec<_> = handlers
                .iter()
                .map(|id| state.handlers[id].reading.clone())
                .collect();
            (handlers, turns)
        };
        // While these are held, no stream hands one of the deliveries out.
        let mut held = Vec::with_capacity(turns.len());
        for turn in turns {
            held.push(turn.lock_owned().await);
        }
        let mut scheduled = Vec::new();
        for id in handlers {
            if shared
                .state()
                .handlers
                .get(&id)
                .is_some_and(|handler| is_settled(handler, found))
            {
                scheduled.extend(schedule(&mut transaction, id, found).await?);
            }
        }
        transaction.commit().await?;
        let mut state = shared.state();
        state.messages += u64::from(!found.logged && !scheduled.is_empty());
        for one in &scheduled {
            if let Some(handler) = state.handlers.get_mut(&one.handler) {
                handler.dead = handler.dead.saturating_sub(u64::from(one.was_dead));
                handler.exceptions += u64::from(!one.was_waiting);
                handler.parked = handler.parked.saturating_sub(u64::from(one.was_parked));
                handler.due_at(Timestamp::default());
            }
        }
        Ok(Some(scheduled.len() as u64))
    }
}

/// Nothing of it is handed out or still to come from the log.
fn is_settled(handler: &Handler, found: Found) -> bool {
    let cursor = &handler.cursor;
    let to_come = handler.concerns(found.ty, found.position) && !cursor.is_past(found.position);
    cursor.handed(found.position).is_none() && !to_come
}

/// The handlers that are meant: all that are bound to the type, or the named one if it is.
fn targets(state: &State, found: Found, name: Option<&str>) -> Option<Vec<i64>> {
    let bound = |handler: &Handler| handler.types.contains_key(&found.ty);
    match name {
        Some(name) => {
            let (id, handler) = state.handler_named(name)?;
            bound(handler).then(|| vec![id])
        }
        None => Some(
            state
                .handlers
                .iter()
                .filter(|(_, handler)| bound(handler))
                .map(|(id, _)| *id)
                .collect(),
        ),
    }
}

async fn find(
    connection: &mut SqliteConnection,
    id: MessageId,
) -> Result<Option<Found>, StoreError> {
    let row: Option<(i64, i64, bool)> = query_as(
        "SELECT seq, type, true FROM message WHERE id = ?1
         UNION ALL SELECT seq, type, false FROM dead WHERE id = ?1 LIMIT 1",
    )
    .bind(id.as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(seq, ty, logged)| Found {
        position: seq.cast_unsigned(),
        ty,
        logged,
    }))
}

/// Writes one exception row that is due now, and takes the dead letter off. `None` if it waits for its turn: then it is
/// still to come.
async fn schedule(
    connection: &mut SqliteConnection,
    handler: i64,
    found: Found,
) -> Result<Option<Scheduled>, StoreError> {
    let state: Option<i64> =
        query_scalar("SELECT state FROM exception WHERE handler = ? AND seq = ?")
            .bind(handler)
            .bind(found.position.cast_signed())
            .fetch_optional(&mut *connection)
            .await?;
    if state == Some(For::Turn as i64) {
        return Ok(None);
    }
    if !found.logged {
        // Back at its old position: every cursor is past it, so nobody else gets it.
        let sql = format!(
            "INSERT OR IGNORE INTO message ({MESSAGE}) SELECT {MESSAGE} FROM dead WHERE seq = ? LIMIT 1"
        );
        query(AssertSqlSafe(sql))
            .bind(found.position.cast_signed())
            .execute(&mut *connection)
            .await?;
    }
    let dead = query("DELETE FROM dead WHERE handler = ? AND seq = ?")
        .bind(handler)
        .bind(found.position.cast_signed())
        .execute(&mut *connection)
        .await?;
    next_replay(connection, handler, found.position).await?;
    Ok(Some(Scheduled {
        handler,
        was_dead: dead.rows_affected() > 0,
        was_waiting: state.is_some(),
        was_parked: state == Some(For::Operator as i64),
    }))
}
