//! Settled deliveries into the database, and into what is known in memory.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_message::Timestamp;
use sea_orm::sqlx::{Arguments as _, SqliteConnection, query, query_scalar};

use crate::sqlite::burial::{bury, failure_text};
use crate::sqlite::cursor::Handed;
use crate::sqlite::error::StoreError;
use crate::sqlite::load::save_cursor;
use crate::sqlite::rows::{self, json_list};
use crate::sqlite::state::{Shared, State};
use crate::{Failure, FailureKind, Verdict};

/// One delivery whose token was current.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled<'a> {
    pub(super) position: u64,
    pub(super) handed: Handed,
    /// Straight from the log, not from an exception row.
    pub(super) fresh: bool,
    pub(super) verdict: &'a Verdict,
}

/// An exception row to write.
struct Waiting {
    handler: i64,
    position: u64,
    attempt: u32,
    crashes: u32,
    replay: u32,
    due: Timestamp,
}

/// An attempt row to write.
struct Failed<'a> {
    handler: i64,
    settled: Settled<'a>,
    failure: &'a Failure,
}

/// A handler, and where its cursor moves to.
type Moved = (i64, u64, BTreeSet<u64>);
/// A handler, a position, and what is handed out there.
type LeftBehind = (i64, u64, Handed);
/// For each handler, the deliveries that its cursor leaves behind.
type Stragglers = BTreeMap<i64, Vec<u64>>;

impl<'a> Settled<'a> {
    /// Writes what a group settled: exceptions, dead letters, failed attempts, cursors.
    pub(super) async fn write(
        connection: &mut SqliteConnection,
        shared: &Shared,
        settled: &BTreeMap<i64, Vec<Self>>,
        now: Timestamp,
    ) -> Result<Stragglers, StoreError> {
        let (cursors, behind) = cursors(&shared.state(), settled);
        let mut waiting = Vec::new();
        let mut failed = Vec::new();
        for (handler, settled) in settled {
            let done = settled
                .iter()
                .filter(|one| !one.fresh && matches!(one.verdict, Verdict::Ack { .. }));
            delete_exceptions(connection, *handler, done.map(|one| one.position)).await?;
            for one in settled {
                match one.verdict {
                    Verdict::Ack { .. } => continue,
                    Verdict::Retry { due, failure } => {
                        waiting.push(one.again(*handler, *due, failure));
                        failed.push(Failed {
                            handler: *handler,
                            settled: *one,
                            failure,
                        });
                    }
                    Verdict::Release { due } => {
                        waiting.push(one.released(*handler, due.unwrap_or_default()));
                    }
                    Verdict::Dead { failure }
                    | Verdict::DeadKey { failure }
                    | Verdict::Park { failure } => {
                        let at = json_list([one.position]);
                        bury(
                            connection,
                            *handler,
                            &at,
                            Some(one.handed.attempt),
                            failure,
                            now,
                        )
                        .await?;
                        failed.push(Failed {
                            handler: *handler,
                            settled: *one,
                            failure,
                        });
                    }
                }
            }
        }
        let mut stragglers = Stragglers::new();
        for (handler, position, handed) in behind {
            waiting.push(Waiting {
                handler,
                position,
                attempt: handed.attempt.saturating_sub(1),
                crashes: handed.crashes,
                replay: handed.replay,
                due: Timestamp::default(),
            });
            stragglers.entry(handler).or_default().push(position);
        }
        save_waiting(connection, &waiting).await?;
        save_failed(connection, &failed, now).await?;
        for (handler, upto, done) in cursors {
            save_cursor(connection, handler, upto, &done).await?;
        }
        Ok(stragglers)
    }

    /// Makes it known: to be called after the commit only.
    pub(super) fn apply(state: &mut State, handler: i64, settled: &[Self], stragglers: &[u64]) {
        let Some(read) = state
            .handlers
            .get(&handler)
            .map(|handler| state.read_by(handler))
        else {
            return;
        };
        let Some(handler) = state.handlers.get_mut(&handler) else {
            return;
        };
        for one in settled {
            if one.fresh {
                handler.unsettled = handler.unsettled.saturating_sub(1);
            } else {
                handler.cursor.again.remove(&one.position);
                handler.exceptions = handler.exceptions.saturating_sub(1);
            }
            match one.verdict {
                Verdict::Ack { .. } => {}
                Verdict::Retry { due, .. } => {
                    handler.exceptions += 1;
                    handler.due_at(*due);
                }
                Verdict::Release { due } => {
                    handler.exceptions += 1;
                    handler.due_at(due.unwrap_or_default());
                }
                Verdict::Dead { .. } | Verdict::DeadKey { .. } | Verdict::Park { .. } => {
                    handler.dead += 1;
                }
            }
        }
        for position in stragglers {
            if let Some(handed) = handler.cursor.fresh.get(position).copied() {
                handler.cursor.again.insert(*position, handed);
                handler.unsettled = handler.unsettled.saturating_sub(1);
                handler.exceptions += 1;
            }
        }
        let fresh = settled
            .iter()
            .filter(|one| one.fresh)
            .map(|one| one.position);
        handler
            .cursor
            .settle(&fresh.chain(stragglers.iter().copied()).collect(), read);
        // There may be room again.
        handler.wake.notify_one();
    }

    /// The exception row of a delivery that was not attempted.
    fn released(&self, handler: i64, due: Timestamp) -> Waiting {
        Waiting {
            handler,
            position: self.position,
            attempt: self.handed.attempt.saturating_sub(1),
            crashes: self.handed.crashes,
            replay: self.handed.replay,
            due,
        }
    }

    /// The exception row of a delivery that is to be tried again.
    fn again(&self, handler: i64, due: Timestamp, failure: &Failure) -> Waiting {
        let panicked = u32::from(failure.kind == FailureKind::Panic);
        Waiting {
            handler,
            position: self.position,
            attempt: self.handed.attempt,
            crashes: self.handed.crashes + panicked,
            replay: self.handed.replay,
            due,
        }
    }
}

/// Where each handler will stand, and what it leaves behind to get there.
fn cursors(
    state: &State,
    settled: &BTreeMap<i64, Vec<Settled<'_>>>,
) -> (Vec<Moved>, Vec<LeftBehind>) {
    let (mut cursors, mut behind) = (Vec::new(), Vec::new());
    for (id, settled) in settled {
        let Some(handler) = state.handlers.get(id) else {
            continue;
        };
        let mut fresh: BTreeSet<u64> = settled
            .iter()
            .filter(|one| one.fresh)
            .map(|one| one.position)
            .collect();
        for position in handler.cursor.stragglers(&fresh) {
            behind.extend(
                handler
                    .cursor
                    .fresh
                    .get(&position)
                    .map(|handed| (*id, position, *handed)),
            );
            fresh.insert(position);
        }
        let (upto, done) = handler.cursor.after(&fresh, state.read_by(handler));
        cursors.push((*id, upto, done));
    }
    (cursors, behind)
}

async fn delete_exceptions(
    connection: &mut SqliteConnection,
    handler: i64,
    positions: impl Iterator<Item = u64>,
) -> Result<(), StoreError> {
    let positions: Vec<u64> = positions.collect();
    if positions.is_empty() {
        return Ok(());
    }
    query("DELETE FROM exception WHERE handler = ? AND seq IN (SELECT value FROM json_each(?))")
        .bind(handler)
        .bind(json_list(positions))
        .execute(connection)
        .await?;
    Ok(())
}

async fn save_waiting(
    connection: &mut SqliteConnection,
    waiting: &[Waiting],
) -> Result<(), StoreError> {
    let statement = (
        "INSERT OR REPLACE INTO exception (handler, seq, attempt, crashes, replay, due)",
        6,
        "",
    );
    rows::insert(connection, statement, waiting, |arguments, row| {
        arguments.add(row.handler)?;
        arguments.add(row.position.cast_signed())?;
        arguments.add(row.attempt)?;
        arguments.add(row.crashes)?;
        arguments.add(row.replay)?;
        arguments.add(row.due.as_millis())
    })
    .await?;
    Ok(())
}

async fn save_failed(
    connection: &mut SqliteConnection,
    failed: &[Failed<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let statement = (
        "INSERT OR REPLACE INTO attempt (seq, handler, replay, attempt, at, failure)",
        6,
        "",
    );
    rows::insert(connection, statement, failed, |arguments, row| {
        arguments.add(row.settled.position.cast_signed())?;
        arguments.add(row.handler)?;
        arguments.add(row.settled.handed.replay)?;
        arguments.add(row.settled.handed.attempt)?;
        arguments.add(now.as_millis())?;
        arguments.add(failure_text(row.failure))
    })
    .await?;
    Ok(())
}

/// Adds one to the replay number of a delivery and answers it.
pub(super) async fn next_replay(
    connection: &mut SqliteConnection,
    handler: i64,
    position: u64,
) -> Result<u32, StoreError> {
    let sql = "INSERT INTO replay (seq, handler, number) VALUES (?, ?, 1)
               ON CONFLICT (seq, handler) DO UPDATE SET number = number + 1 RETURNING number";
    let number: u32 = query_scalar(sql)
        .bind(position.cast_signed())
        .bind(handler)
        .fetch_one(&mut *connection)
        .await?;
    query("INSERT OR REPLACE INTO exception (handler, seq, attempt, crashes, replay, due) VALUES (?, ?, 0, 0, ?, 0)")
        .bind(handler)
        .bind(position.cast_signed())
        .bind(number)
        .execute(connection)
        .await?;
    Ok(number)
}
