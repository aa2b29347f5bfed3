//! What a stream reads from the database: exception rows that are due, pages of the log, single messages.

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::{Envelope, Timestamp};
use sea_orm::sqlx::sqlite::SqliteRow;
use sea_orm::sqlx::{AssertSqlSafe, Row as _, SqliteConnection, query};

use super::cursor::Handed;
use super::error::StoreError;
use super::order::Key;
use super::paging::Stretch;
use super::rows::{self, MESSAGE, json_list};
use super::state::Types;

/// Most messages of one page.
const PAGE: usize = 512;
/// Most payload of one page, unless it is a single message: it is in memory until it is handed out.
const PAGE_BYTES: usize = 4 << 20;
/// Messages that are read before it is known how large they are.
const FIRST: usize = 16;

/// One exception row.
pub(super) struct Waiting {
    pub(super) position: u64,
    pub(super) handed: Handed,
    pub(super) due: Timestamp,
}

/// Consecutive messages of the log, for one handler.
pub(super) struct Page {
    pub(super) messages: Vec<(u64, Arc<Envelope>)>,
    /// There are no others up to here.
    pub(super) upto: u64,
}

/// Rows of one handler that wait for their time, the earliest first, whether it has come or not.
pub(super) async fn waiting(
    connection: &mut SqliteConnection,
    handler: i64,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT seq, attempt, crashes, replay, due, lane, ordering_key FROM exception
               WHERE handler = ? AND state = 0 ORDER BY due, seq LIMIT ?";
    let found = query(sql)
        .bind(handler)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    found.iter().map(read_waiting).collect()
}

fn read_waiting(row: &SqliteRow) -> Result<Waiting, StoreError> {
    let attempt: u32 = row.try_get(1)?;
    let (lane, key): (Option<&str>, Option<&str>) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Waiting {
        position: row.try_get::<i64, _>(0)?.cast_unsigned(),
        handed: Handed {
            fence: 0,
            attempt: attempt + 1,
            crashes: row.try_get(2)?,
            replay: row.try_get(3)?,
            key: lane.zip(key).map(|(lane, key)| Key::new(lane, key)),
        },
        due: Timestamp::from_millis(row.try_get(4)?),
    })
}

/// The beginning of a stretch of the log.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    stretch: &Stretch,
    types: &Types,
) -> Result<Page, StoreError> {
    let positions = stretch.positions(connection, PAGE).await?;
    let mut messages: Vec<(u64, Arc<Envelope>)> = Vec::with_capacity(positions.len());
    let (mut rest, mut bytes, mut next) = (positions.as_slice(), 0, FIRST);
    while !rest.is_empty() && bytes < PAGE_BYTES {
        let (chunk, later) = rest.split_at(next.min(rest.len()));
        let mut found = by_position(connection, chunk.iter().copied(), types).await?;
        for position in chunk {
            // It may have been deleted since, by an operator's hand.
            if let Some(message) = found.remove(position) {
                bytes += message.data.len();
                messages.push((*position, message));
            }
        }
        rest = later;
        let mean = (bytes / messages.len().max(1)).max(1);
        next = ((PAGE_BYTES.saturating_sub(bytes)) / mean).clamp(1, PAGE);
    }
    let all = rest.is_empty() && positions.len() < PAGE;
    let read = positions.len() - rest.len();
    let last = read.checked_sub(1).and_then(|last| positions.get(last));
    Ok(Page {
        messages,
        upto: match last {
            Some(last) if !all => *last,
            _ => stretch.upto,
        },
    })
}

/// Messages at these positions, as far as they are there.
pub(super) async fn by_position(
    connection: &mut SqliteConnection,
    positions: impl Iterator<Item = u64>,
    types: &Types,
) -> Result<HashMap<u64, Arc<Envelope>>, StoreError> {
    let sql =
        format!("SELECT {MESSAGE} FROM message WHERE seq IN (SELECT value FROM json_each(?))");
    let found = query(AssertSqlSafe(sql))
        .bind(json_list(positions))
        .fetch_all(connection)
        .await?;
    let read = |row| {
        let message = rows::read_message(row, 0, types)?;
        Ok((message.position, Arc::new(message.envelope)))
    };
    found.iter().map(read).collect()
}
