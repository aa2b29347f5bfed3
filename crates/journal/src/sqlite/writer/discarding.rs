//! Discard: what is not handed out is settled without running it. An attempt row says that it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{SqliteConnection, query, query_as, query_scalar};

use super::Writer;
use super::choosing::{self, Lies, Named};
use super::passing::Freed;
use crate::sqlite::burial::failure_text;
use crate::sqlite::error::StoreError;
use crate::sqlite::load::save_cursor;
use crate::sqlite::order::Key;
use crate::sqlite::state::{Handler, Shared, State};
use crate::{Discard, Failure, FailureKind};

/// What a batch discarded, to be made known after the commit.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    /// Positions that were still to come from the log, by handler.
    log: BTreeMap<i64, BTreeSet<u64>>,
    /// Handlers, one for each dead letter.
    dead: Vec<i64>,
    delayed: u64,
    now: Timestamp,
}

/// One exception row that is gone.
struct Row {
    handler: i64,
    parked: bool,
    key: Held,
}

/// What it had to do with its ordering key.
enum Held {
    Nothing,
    Behind(Arc<Key>),
    Freed(Freed),
}

/// Attempt, replay, state, lane and ordering key of an exception row.
type Deleted = (u32, u32, i64, Option<String>, Option<String>);

impl Writer {
    /// Discards deliveries, all in one write; answers how many each discard meant.
    pub(super) async fn discard(&mut self, batch: &[Discard]) -> Result<Vec<u64>, StoreError> {
        let outcome = self.try_discard(batch).await;
        self.checked(outcome)
    }

    async fn try_discard(&mut self, batch: &[Discard]) -> Result<Vec<u64>, StoreError> {
        let shared = self.shared.clone();
        let names = batch.iter().map(|one| one.handler.as_deref());
        let _turns = choosing::hold(&shared, names).await;
        let mut transaction = self.begin().await?;
        let mut done = Batch {
            now: shared.clock.now(),
            ..Batch::default()
        };
        let mut answers = Vec::with_capacity(batch.len());
        for one in batch {
            answers.push(done.discard(&mut transaction, &shared, one).await?);
        }
        for (id, positions) in &done.log {
            let moved = cursor_after(&shared.state(), *id, positions);
            if let Some((upto, settled)) = moved {
                save_cursor(&mut transaction, *id, upto, &settled).await?;
            }
        }
        transaction.commit().await?;
        done.apply(&mut shared.state());
        Ok(answers)
    }
}

fn cursor_after(state: &State, id: i64, settled: &BTreeSet<u64>) -> Option<(u64, BTreeSet<u64>)> {
    let handler = state.handlers.get(&id)?;
    Some(handler.cursor.after(settled, state.read_by(handler)))
}

impl Batch {
    async fn discard(
        &mut self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        discard: &Discard,
    ) -> Result<u64, StoreError> {
        let Some(found) = choosing::find(connection, discard.message).await? else {
            return Ok(0);
        };
        if found.lies == Lies::Delayed {
            // It has no deliveries yet: it is discarded whole, or not.
            if discard.handler.is_some() {
                return Ok(0);
            }
            query("DELETE FROM delayed WHERE seq = ?")
                .bind(found.position.cast_signed())
                .execute(connection)
                .await?;
            self.delayed += 1;
            return Ok(1);
        }
        let handlers = choosing::handlers(&shared.state(), discard.handler.as_deref());
        let mut count = 0;
        for id in handlers.unwrap_or_default() {
            count += u64::from(self.delivery(connection, shared, id, found).await?);
        }
        Ok(count)
    }

    /// Discards the delivery to one handler, if it waits anywhere.
    async fn delivery(
        &mut self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        handler: i64,
        found: Named,
    ) -> Result<bool, StoreError> {
        let position = found.position;
        let (handed, to_come) = {
            let state = shared.state();
            let Some(known) = state.handlers.get(&handler) else {
                return Ok(false);
            };
            let to_come = found.lies != Lies::Buried
                && known.concerns(found.ty, position)
                && !known.cursor.is_past(position);
            (known.cursor.handed(position).is_some(), to_come)
        };
        if handed {
            return Ok(false);
        }
        let deleted: Option<Deleted> = query_as(
            "DELETE FROM exception WHERE handler = ? AND seq = ?
             RETURNING attempt, replay, state, lane, ordering_key",
        )
        .bind(handler)
        .bind(position.cast_signed())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((attempt, replay, state, lane, key)) = deleted {
            self.note(connection, (handler, position), replay, attempt)
                .await?;
            let key = lane.zip(key).map(|(lane, key)| Key::new(&lane, &key));
            let key = match key {
                None => Held::Nothing,
                Some(key) if state == 1 => Held::Behind(key),
                Some(key) => Held::Freed(Freed::pass_on(connection, shared, handler, &key).await?),
            };
            let parked = state != 0;
            self.rows.push(Row {
                handler,
                parked,
                key,
            });
            return Ok(true);
        }
        if let Some((attempts, replay)) = take_letter(connection, handler, position).await? {
            self.note(connection, (handler, position), replay, attempts)
                .await?;
            self.dead.push(handler);
            return Ok(true);
        }
        if to_come && self.log.entry(handler).or_default().insert(position) {
            self.note(connection, (handler, position), 0, 0).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Leaves an attempt row, after the attempts that were made.
    async fn note(
        &self,
        connection: &mut SqliteConnection,
        (handler, position): (i64, u64),
        replay: u32,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let failure = Failure {
            kind: FailureKind::Discarded,
            chain: vec!["discarded by an operator".to_owned()],
            started: self.now,
            ran_ms: 0,
        };
        query("INSERT OR REPLACE INTO attempt (seq, handler, replay, attempt, at, failure) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(position.cast_signed())
            .bind(handler)
            .bind(replay)
            .bind(attempts + 1)
            .bind(self.now.as_millis())
            .bind(failure_text(&failure))
            .execute(connection)
            .await?;
        Ok(())
    }

    fn apply(&self, state: &mut State) {
        // What is due first may be gone: the writer finds nothing then, and looks for the next.
        state.delayed = state.delayed.saturating_sub(self.delayed);
        for row in &self.rows {
            if let Some(handler) = state.handlers.get_mut(&row.handler) {
                row.apply(handler);
            }
        }
        for id in &self.dead {
            if let Some(handler) = state.handlers.get_mut(id) {
                handler.dead = handler.dead.saturating_sub(1);
            }
        }
        for (id, positions) in &self.log {
            let known = state.handlers.get(id);
            let Some(read) = known.map(|handler| state.read_by(handler)) else {
                continue;
            };
            if let Some(handler) = state.handlers.get_mut(id) {
                settle_unattempted(handler, positions, read);
            }
        }
    }
}

impl Row {
    fn apply(&self, handler: &mut Handler) {
        handler.exceptions = handler.exceptions.saturating_sub(1);
        handler.parked = handler.parked.saturating_sub(u64::from(self.parked));
        match &self.key {
            Held::Nothing => {}
            Held::Behind(key) => handler.order.leave(key),
            Held::Freed(freed) => freed.apply(handler),
        }
        handler.wake.notify_one();
    }
}

/// Takes positions of the log out of memory, wherever they are: unread, behind their key, or holding it.
fn settle_unattempted(handler: &mut Handler, positions: &BTreeSet<u64>, read: u64) {
    for position in positions {
        handler.window.take(*position);
        handler.unsettled = handler.unsettled.saturating_sub(1);
        let Some(key) = handler.cursor.held.get(position).cloned() else {
            continue;
        };
        if handler.cursor.free.contains(position) {
            let next = handler.order.pass_on(&key, false);
            handler.cursor.free.extend(next);
        } else {
            // Out of what is held, and not among the rows either.
            handler.order.write_down(&key, *position);
            handler.order.leave(&key);
        }
    }
    handler.cursor.settle(positions, read);
    handler.wake.notify_one();
}

/// Takes a dead letter off; answers its attempts, and the number of the replay that they were of.
async fn take_letter(
    connection: &mut SqliteConnection,
    handler: i64,
    position: u64,
) -> Result<Option<(u32, u32)>, StoreError> {
    let attempts: Option<u32> =
        query_scalar("DELETE FROM dead WHERE handler = ? AND seq = ? RETURNING attempts")
            .bind(handler)
            .bind(position.cast_signed())
            .fetch_optional(&mut *connection)
            .await?;
    let Some(attempts) = attempts else {
        return Ok(None);
    };
    let replay: Option<u32> =
        query_scalar("SELECT number FROM replay WHERE handler = ? AND seq = ?")
            .bind(handler)
            .bind(position.cast_signed())
            .fetch_optional(connection)
            .await?;
    Ok(Some((attempts, replay.unwrap_or(0))))
}
