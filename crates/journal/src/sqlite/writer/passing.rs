//! What becomes of an ordering key when the delivery that held it is settled: it passes on, in the same write.

use std::sync::Arc;

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::{SqliteConnection, query_as, query_scalar};

use crate::sqlite::burial::{blocked, bury};
use crate::sqlite::error::StoreError;
use crate::sqlite::order::Key;
use crate::sqlite::rows::{json_list, read_id};
use crate::sqlite::state::{Handler, Shared};

/// Most messages that one statement buries.
const BURIED: usize = 500;

/// A key that nobody holds any more, and the exception row that takes it, if one waited.
#[derive(Debug)]
pub(super) struct Freed {
    key: Arc<Key>,
    row: Option<(u64, Timestamp)>,
}

/// A key whose head was given up with everything behind it.
#[derive(Debug)]
pub(super) struct Condemned {
    key: Arc<Key>,
    /// How many exception rows that were.
    rows: u64,
    /// Positions of the log, looked at or not.
    pub(super) log: Vec<u64>,
}

impl Freed {
    /// Passes the key on to the oldest row behind it. If there is none, it passes in memory, when this is applied.
    pub(super) async fn pass_on(
        connection: &mut SqliteConnection,
        shared: &Shared,
        handler: i64,
        key: &Arc<Key>,
    ) -> Result<Self, StoreError> {
        let waiting = {
            let state = shared.state();
            let known = state.handlers.get(&handler);
            known.map_or(0, |handler| handler.order.rows(key))
        };
        let mut row = None;
        if waiting > 0 {
            row = query_as::<_, (i64, i64)>(
                "UPDATE exception SET state = 0 WHERE handler = ?1 AND seq = (
                     SELECT seq FROM exception
                     WHERE handler = ?1 AND ordering_key = ?2 AND lane = ?3 AND state = 1 ORDER BY seq LIMIT 1)
                 RETURNING seq, due",
            )
            .bind(handler)
            .bind(&*key.key)
            .bind(&*key.lane)
            .fetch_optional(connection)
            .await?;
        }
        Ok(Self {
            key: key.clone(),
            row: row.map(|(seq, due)| (seq.cast_unsigned(), Timestamp::from_millis(due))),
        })
    }

    /// The position in memory that takes the key.
    pub(super) fn next(&self, handler: &Handler) -> Option<u64> {
        match self.row {
            Some(_) => None,
            None => handler.order.held(&self.key).next(),
        }
    }

    /// Makes it known: to be called after the commit only.
    pub(super) fn apply(&self, handler: &mut Handler) {
        let next = handler.order.pass_on(&self.key, self.row.is_some());
        handler.cursor.free.extend(next);
        if let Some((_, due)) = self.row {
            handler.parked = handler.parked.saturating_sub(1);
            handler.due_at(due);
        }
        handler.wake.notify_one();
    }
}

impl Condemned {
    /// Buries everything that waits behind `head`: rows, what is held in memory, and what is still to come in the log.
    pub(super) async fn bury(
        connection: &mut SqliteConnection,
        shared: &Shared,
        handler: i64,
        (head, key): (u64, &Arc<Key>),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let rows: Vec<i64> = query_scalar(
            "SELECT seq FROM exception WHERE handler = ? AND ordering_key = ? AND lane = ? AND state = 1",
        )
        .bind(handler)
        .bind(&*key.key)
        .bind(&*key.lane)
        .fetch_all(&mut *connection)
        .await?;
        let rows: Vec<u64> = rows.into_iter().map(i64::cast_unsigned).collect();
        let log = to_come(connection, shared, handler, key).await?;
        let failure = blocked(message_at(connection, head).await?, now);
        for positions in [&rows, &log] {
            for chunk in positions.chunks(BURIED) {
                let chunk = json_list(chunk.iter().copied());
                bury(connection, handler, &chunk, None, &failure, now).await?;
            }
        }
        Ok(Self {
            key: key.clone(),
            rows: rows.len() as u64,
            log,
        })
    }

    /// Makes it known, but for the cursor: to be called after the commit only.
    pub(super) fn apply(&self, handler: &mut Handler) {
        handler.order.clear(&self.key);
        handler.exceptions = handler.exceptions.saturating_sub(self.rows);
        handler.parked = handler.parked.saturating_sub(self.rows);
        handler.unsettled = handler.unsettled.saturating_sub(self.log.len() as u64);
        handler.dead += self.rows + self.log.len() as u64;
        for position in &self.log {
            handler.window.take(*position);
        }
    }
}

/// Positions of a key that have no row and were not begun, up to what was committed before this write.
async fn to_come(
    connection: &mut SqliteConnection,
    shared: &Shared,
    handler: i64,
    key: &Key,
) -> Result<Vec<u64>, StoreError> {
    let (mut positions, scanned, head) = {
        let state = shared.state();
        let Some(handler) = state.handlers.get(&handler) else {
            return Ok(Vec::new());
        };
        let held: Vec<u64> = handler.order.held(key).collect();
        (held, handler.cursor.scanned, state.head)
    };
    let found: Vec<(i64, i64, Option<String>)> = query_as(
        "SELECT seq, type, lane FROM message WHERE ordering_key = ? AND seq > ? AND seq <= ? ORDER BY seq",
    )
    .bind(&*key.key)
    .bind(scanned.cast_signed())
    .bind(head.cast_signed())
    .fetch_all(connection)
    .await?;
    let state = shared.state();
    let Some(handler) = state.handlers.get(&handler) else {
        return Ok(positions);
    };
    let behind = found.into_iter().filter_map(|(seq, ty, lane)| {
        let position = seq.cast_unsigned();
        let own = || state.types.name(ty).map(|name| name.as_str());
        let same_lane = lane.as_deref().or_else(own) == Some(&*key.lane);
        (same_lane && handler.concerns(ty, position) && !handler.cursor.done.contains(&position))
            .then_some(position)
    });
    positions.extend(behind);
    Ok(positions)
}

async fn message_at(
    connection: &mut SqliteConnection,
    position: u64,
) -> Result<Option<MessageId>, StoreError> {
    let id: Option<Vec<u8>> = query_scalar("SELECT id FROM message WHERE seq = ?")
        .bind(position.cast_signed())
        .fetch_optional(connection)
        .await?;
    id.as_deref().map(read_id).transpose()
}
