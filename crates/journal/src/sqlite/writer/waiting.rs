//! Rows of deliveries that are not simply done: exceptions, and attempts that failed.

use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{Arguments as _, SqliteConnection, query, query_scalar};

use super::settling::Settled;
use crate::Failure;
use crate::sqlite::burial::failure_text;
use crate::sqlite::cursor::Handed;
use crate::sqlite::error::StoreError;
use crate::sqlite::order::Key;
use crate::sqlite::rows::{self, json_list};

/// What an exception row waits for, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Its time.
    Due = 0,
    /// An earlier message of its ordering key.
    Turn = 1,
    /// An operator. It holds its ordering key.
    Operator = 2,
}

/// An exception row to write.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) handler: i64,
    pub(super) position: u64,
    /// Attempts made.
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) replay: u32,
    pub(super) due: Timestamp,
    pub(super) waits: For,
    /// The ordering key that it holds, or waits for.
    pub(super) key: Option<Arc<Key>>,
}

/// An attempt row to write.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    pub(super) handler: i64,
    pub(super) settled: &'a Settled<'a>,
    pub(super) failure: &'a Failure,
}

impl Waiting {
    /// Of a delivery that is handed out, as if it had not been.
    pub(super) fn unattempted(handler: i64, position: u64, handed: &Handed) -> Self {
        Self {
            handler,
            position,
            attempt: handed.attempt.saturating_sub(1),
            crashes: handed.crashes,
            replay: handed.replay,
            due: Timestamp::default(),
            waits: For::Due,
            key: handed.key.clone(),
        }
    }

    /// Of a message that was held back, and never handed out.
    pub(super) fn held(handler: i64, position: u64, key: Arc<Key>, waits: For) -> Self {
        Self {
            handler,
            position,
            attempt: 0,
            crashes: 0,
            replay: 0,
            due: Timestamp::default(),
            waits,
            key: Some(key),
        }
    }
}

pub(super) async fn delete_exceptions(
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

pub(super) async fn save_waiting(
    connection: &mut SqliteConnection,
    waiting: &[Waiting],
) -> Result<(), StoreError> {
    let statement = (
        "INSERT OR REPLACE INTO exception (handler, seq, attempt, crashes, replay, due, state, lane, ordering_key)",
        9,
        "",
    );
    rows::insert(connection, statement, waiting, |arguments, row| {
        arguments.add(row.handler)?;
        arguments.add(row.position.cast_signed())?;
        arguments.add(row.attempt)?;
        arguments.add(row.crashes)?;
        arguments.add(row.replay)?;
        arguments.add(row.due.as_millis())?;
        arguments.add(row.waits as i64)?;
        arguments.add(row.key.as_ref().map(|key| &*key.lane))?;
        arguments.add(row.key.as_ref().map(|key| &*key.key))
    })
    .await?;
    Ok(())
}

pub(super) async fn save_failed(
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

/// Adds one to the replay number of a delivery, and makes it wait for `due`. A row that is there keeps its
/// ordering key: what was parked tries again while it holds it. A new one takes no part in the order.
pub(super) async fn next_replay(
    connection: &mut SqliteConnection,
    handler: i64,
    position: u64,
    due: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO replay (seq, handler, number) VALUES (?, ?, 1)
               ON CONFLICT (seq, handler) DO UPDATE SET number = number + 1 RETURNING number";
    let number: u32 = query_scalar(sql)
        .bind(position.cast_signed())
        .bind(handler)
        .fetch_one(&mut *connection)
        .await?;
    query(
        "INSERT INTO exception (handler, seq, attempt, crashes, replay, due) VALUES (?, ?, 0, 0, ?, ?)
         ON CONFLICT (handler, seq) DO UPDATE
         SET attempt = 0, crashes = 0, replay = excluded.replay, due = excluded.due, state = 0",
    )
    .bind(handler)
    .bind(position.cast_signed())
    .bind(number)
    .bind(due.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
