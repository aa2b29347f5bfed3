//! Retention, in small steps: each is a transaction of its own, so that publishing goes on in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{SqliteConnection, query, query_scalar};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Writer;
use crate::sqlite::burial::{Unattempted, bury};
use crate::sqlite::error::StoreError;
use crate::sqlite::load::{self, save_cursor};
use crate::sqlite::moment::first_since;
use crate::sqlite::paging::Stretch;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::{Handler, Shared, State};

/// Rows of one step: deleting many at once would hold publishers up.
pub(super) const ROWS: usize = 1000;
/// So long after a start, nothing dies of age: the handlers that were down get their chance first.
const GRACE: Duration = Duration::from_secs(600);

/// The parts of retention, in their order.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) enum Step {
    /// Cursors that moved in memory, and which handlers are in the wiring.
    Cursors,
    /// Messages too old that an open handler has not taken, to its dead letters.
    Unhandled,
    /// What handlers that left the wiring had not settled, to their dead letters.
    Removed,
    /// Messages too old that every handler of their type is past.
    Messages,
    /// The oldest of those that are settled, while too much is stored.
    Size,
    /// Payloads that are not kept.
    Payloads,
    DeadLetters,
    Attempts,
    Keys,
    Replays,
}

impl Step {
    pub(in crate::sqlite) const ALL: [Self; 10] = [
        Self::Cursors,
        Self::Unhandled,
        Self::Removed,
        Self::Messages,
        Self::Size,
        Self::Payloads,
        Self::DeadLetters,
        Self::Attempts,
        Self::Keys,
        Self::Replays,
    ];
}

/// Messages of one handler that are to be buried.
struct Overdue {
    handler: i64,
    stretch: Stretch,
    cause: Unattempted,
    turn: Arc<Mutex<()>>,
}

/// Messages that were buried, not yet committed. No stream of the handler reads meanwhile.
struct Buried {
    handler: i64,
    last: u64,
    positions: BTreeSet<u64>,
    _turn: OwnedMutexGuard<()>,
}

impl Writer {
    /// Does one step. Answers whether the same step has more to do.
    pub(super) async fn maintain(&mut self, step: Step) -> Result<bool, StoreError> {
        let outcome = self.step(step).await;
        self.checked(outcome)
    }

    async fn step(&mut self, step: Step) -> Result<bool, StoreError> {
        let now = self.shared.clock.now();
        let retention = self.shared.limits.retention;
        let horizon = now.before(retention);
        let graced = now < self.shared.opened.after(GRACE.min(retention));
        match step {
            Step::Cursors => self.save_cursors().await.map(|()| false),
            Step::Unhandled | Step::Removed if graced => Ok(false),
            Step::Unhandled => self.bury_unhandled(horizon, now).await,
            Step::Removed => self.bury_removed(horizon, now).await,
            Step::Messages => self.delete_old(horizon).await,
            Step::Size => self.shed().await,
            Step::Payloads => self.drop_payloads().await,
            Step::DeadLetters => self.delete_dead(horizon).await,
            Step::Attempts => {
                self.delete(
                    "DELETE FROM attempt WHERE (seq, handler, replay, attempt) IN (
                         SELECT seq, handler, replay, attempt FROM attempt a WHERE at <= ?1 AND NOT EXISTS (
                             SELECT 1 FROM exception e WHERE e.handler = a.handler AND e.seq = a.seq) LIMIT ?2)",
                    horizon,
                )
                .await
            }
            Step::Keys => {
                let sql = "DELETE FROM dedup WHERE scope IN (SELECT scope FROM dedup WHERE at <= ?1 LIMIT ?2)";
                self.delete(sql, horizon).await
            }
            Step::Replays => {
                self.delete(
                    "DELETE FROM replay WHERE (seq, handler) IN (
                         SELECT seq, handler FROM replay r
                         WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.seq = r.seq)
                           AND NOT EXISTS (SELECT 1 FROM dead d WHERE d.seq = r.seq AND d.handler = r.handler) LIMIT ?2)",
                    horizon,
                )
                .await
            }
        }
    }

    /// Runs a deletion whose parameters are the horizon and the most rows.
    async fn delete(&mut self, sql: &'static str, horizon: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let deleted = query(sql)
            .bind(horizon.as_millis())
            .bind(ROWS as i64)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        transaction.commit().await?;
        Ok(deleted >= ROWS as u64)
    }

    async fn bury_unhandled(
        &mut self,
        horizon: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let shared = self.shared.clone();
        let mut transaction = self.begin().await?;
        let Some(last) = last_before(&mut transaction, horizon).await? else {
            return Ok(false);
        };
        let candidates: Vec<Overdue> = {
            let state = shared.state();
            let open = state
                .handlers
                .iter()
                .filter(|(_, handler)| handler.open && handler.unsettled > 0);
            open.map(|(id, handler)| Overdue::of(*id, handler, last, Unattempted::Expired))
                .collect()
        };
        for overdue in candidates {
            if let Some(buried) = overdue.bury(&mut transaction, &shared, now).await? {
                transaction.commit().await?;
                buried.apply(&mut shared.state());
                shared.crowded.notify_one();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One handler at a time, until none is left that has anything to bury or to forget.
    async fn bury_removed(
        &mut self,
        horizon: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let shared = self.shared.clone();
        let removed = {
            let state = shared.state();
            let mut gone = state.handlers.iter().filter(|(_, handler)| {
                let in_use =
                    !handler.types.is_empty() || handler.exceptions > 0 || handler.dead == 0;
                !handler.open && handler.seen <= horizon && in_use
            });
            gone.next().map(|(id, handler)| {
                Overdue::of(*id, handler, state.head, Unattempted::HandlerRemoved)
            })
        };
        let Some(overdue) = removed else {
            return Ok(false);
        };
        let id = overdue.handler;
        let mut transaction = self.begin().await?;
        let buried = overdue.bury(&mut transaction, &shared, now).await?;
        let kept = buried.is_some()
            || bury_waiting(&mut transaction, id, now).await?
            || forget(&mut transaction, id).await?;
        let reloaded = if kept {
            Some(load::handler(&mut transaction, id).await?)
        } else {
            None
        };
        transaction.commit().await?;
        let mut state = shared.state();
        match reloaded {
            Some(handler) => state.handlers.insert(id, handler),
            None => state.handlers.remove(&id),
        };
        Ok(true)
    }

    async fn delete_dead(&mut self, horizon: Timestamp) -> Result<bool, StoreError> {
        let shared = self.shared.clone();
        let mut transaction = self.begin().await?;
        let sql = "DELETE FROM dead WHERE n IN (SELECT n FROM dead WHERE died <= ? LIMIT ?) RETURNING handler";
        let handlers: Vec<i64> = query_scalar(sql)
            .bind(horizon.as_millis())
            .bind(ROWS as i64)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let mut state = shared.state();
        for id in &handlers {
            if let Some(handler) = state.handlers.get_mut(id) {
                handler.dead = handler.dead.saturating_sub(1);
            }
        }
        Ok(handlers.len() >= ROWS)
    }
}

impl Overdue {
    fn of(id: i64, handler: &Handler, upto: u64, cause: Unattempted) -> Self {
        let stretch = Stretch {
            types: handler.types.clone(),
            after: handler.cursor.scanned,
            upto,
        };
        Self {
            handler: id,
            stretch,
            cause,
            turn: handler.reading.clone(),
        }
    }

    /// Buries the first of them, and moves the stored cursor over them; `None` if there are none.
    async fn bury(
        self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        now: Timestamp,
    ) -> Result<Option<Buried>, StoreError> {
        let turn = self.turn.lock_owned().await;
        // The stream may have read on while this waited for its turn.
        let Some(cursor) = shared
            .state()
            .handlers
            .get(&self.handler)
            .map(|handler| handler.cursor.clone())
        else {
            return Ok(None);
        };
        let stretch = Stretch {
            after: cursor.scanned,
            ..self.stretch
        };
        let mut positions = stretch.positions(connection, ROWS).await?;
        let Some(last) = positions.last().copied() else {
            return Ok(None);
        };
        positions.retain(|position| !cursor.done.contains(position));
        let positions: BTreeSet<u64> = positions.into_iter().collect();
        let failure = self.cause.failure(now);
        bury(
            connection,
            self.handler,
            &json_list(positions.iter().copied()),
            None,
            &failure,
            now,
        )
        .await?;
        // What is handed out yet may be older than these.
        let (upto, done) = cursor.after(&positions, last);
        save_cursor(connection, self.handler, upto, &done).await?;
        Ok(Some(Buried {
            handler: self.handler,
            last,
            positions,
            _turn: turn,
        }))
    }
}

impl Buried {
    /// Makes it known: to be called after the commit only.
    fn apply(self, state: &mut State) {
        if let Some(handler) = state.handlers.get_mut(&self.handler) {
            let count = self.positions.len() as u64;
            handler.cursor.settle(&self.positions, self.last);
            handler.cursor.advance(self.last);
            handler.unsettled = handler.unsettled.saturating_sub(count);
            handler.dead += count;
        }
    }
}

/// The last message that was accepted at or before the horizon.
pub(super) async fn last_before(
    connection: &mut SqliteConnection,
    horizon: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let later = first_since(connection, horizon.after(Duration::from_millis(1))).await?;
    let last: Option<i64> = query_scalar("SELECT max(seq) FROM message WHERE seq < ?")
        .bind(later.cast_signed())
        .fetch_one(connection)
        .await?;
    Ok(last.map(i64::cast_unsigned))
}

/// Buries exception rows of a handler that was removed. Answers whether there were any.
async fn bury_waiting(
    connection: &mut SqliteConnection,
    handler: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let waiting: Vec<i64> =
        query_scalar("SELECT seq FROM exception WHERE handler = ? ORDER BY seq LIMIT ?")
            .bind(handler)
            .bind(ROWS as i64)
            .fetch_all(&mut *connection)
            .await?;
    let positions = json_list(waiting.iter().map(|seq| seq.cast_unsigned()));
    bury(
        connection,
        handler,
        &positions,
        None,
        &Unattempted::HandlerRemoved.failure(now),
        now,
    )
    .await?;
    Ok(!waiting.is_empty())
}

/// Deletes the bindings of a removed handler, and its row once no dead letter names it. Answers whether one does.
async fn forget(connection: &mut SqliteConnection, handler: i64) -> Result<bool, StoreError> {
    query("DELETE FROM binding WHERE handler = ?")
        .bind(handler)
        .execute(&mut *connection)
        .await?;
    let letters: Option<i64> = query_scalar("SELECT n FROM dead WHERE handler = ? LIMIT 1")
        .bind(handler)
        .fetch_optional(&mut *connection)
        .await?;
    if letters.is_none() {
        query("DELETE FROM handler WHERE id = ?")
            .bind(handler)
            .execute(connection)
            .await?;
    }
    Ok(letters.is_some())
}
