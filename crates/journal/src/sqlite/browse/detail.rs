//! One message in full: its deliveries, their attempts, and what handlers emitted for it.

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::sqlite::SqliteRow;
use sea_orm::sqlx::{AssertSqlSafe, Row as _, SqliteConnection, query, query_as};

use super::places::{Place, Places};
use super::{of_message, read_time, weight};
use crate::sqlite::burial::read_failure;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE, MESSAGE_COLUMNS, StoredMessage};
use crate::sqlite::state::{Shared, Types};
use crate::{
    AttemptRecord, DeliveryRecord, DeliveryState, FailureKind, MessageDetail, MessageRecord,
    MessageState,
};

/// A message and where it was found.
struct Found {
    message: StoredMessage,
    deliver_at: Option<Timestamp>,
    dropped: bool,
    /// Its time has not come.
    delayed: bool,
}

/// See [`crate::Journal::message`].
pub(in crate::sqlite) async fn detail(
    shared: &Shared,
    id: MessageId,
) -> Result<Option<MessageDetail>, StoreError> {
    let places = Places::of(shared);
    let types = shared.state().types.clone();
    let mut connection = shared.readers.acquire().await?;
    let Some(found) = find(&mut connection, id, &types).await? else {
        return Ok(None);
    };
    let (deliveries, state) = if found.delayed {
        (Vec::new(), MessageState::Delayed)
    } else {
        deliveries(&mut connection, &places, &found.message).await?
    };
    let children = children(&mut connection, id).await?;
    Ok(Some(MessageDetail {
        deliveries,
        children,
        record: MessageRecord {
            message: Arc::new(found.message.envelope),
            accepted: found.message.accepted,
            state,
            deliver_at: found.deliver_at,
            payload_dropped: found.dropped,
        },
    }))
}

/// Every delivery of a message, and the worst of their states.
async fn deliveries(
    connection: &mut SqliteConnection,
    places: &Places,
    message: &StoredMessage,
) -> Result<(Vec<DeliveryRecord>, MessageState), StoreError> {
    let position = message.position;
    let found = places
        .deliveries(connection, &[(position, message.ty)])
        .await?;
    let found = found.into_iter().next().unwrap_or_default();
    let mut failed = attempts(connection, position).await?;
    let replays: Vec<(i64, u32)> = query_as("SELECT handler, number FROM replay WHERE seq = ?")
        .bind(position.cast_signed())
        .fetch_all(connection)
        .await?;
    let replays: HashMap<i64, u32> = replays.into_iter().collect();
    let worst = found
        .iter()
        .map(|place| of_message(place.state))
        .max_by_key(|state| weight(*state));
    let deliveries = found.into_iter().map(|place| {
        let attempts = failed.remove(&place.handler).unwrap_or_default();
        let replay = replays.get(&place.handler).copied().unwrap_or(0);
        delivery(place, replay, attempts)
    });
    Ok((
        deliveries.collect(),
        worst.unwrap_or(MessageState::Unhandled),
    ))
}

fn delivery(place: Place, replay: u32, attempts: Vec<AttemptRecord>) -> DeliveryRecord {
    let last = attempts
        .iter()
        .filter(|failed| failed.replay == replay)
        .max_by_key(|failed| failed.attempt);
    // An ack leaves no row: it was the attempt after those that failed.
    let acked = match last {
        Some(last) if last.failure.kind == FailureKind::Discarded => last.attempt - 1,
        Some(last) => last.attempt + 1,
        None => 1,
    };
    DeliveryRecord {
        handler: place.name.to_string(),
        state: place.state,
        attempt: match place.state {
            DeliveryState::Acked => acked,
            _ => place.attempt,
        },
        replay,
        due: place.due,
        attempts,
    }
}

/// From the log, or from where it waits for its time, or, when retention took it, from a dead letter.
async fn find(
    connection: &mut SqliteConnection,
    id: MessageId,
    types: &Types,
) -> Result<Option<Found>, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE}, deliver_at, dropped, 0 FROM message WHERE id = ?1
         UNION ALL SELECT {MESSAGE}, due, 0, 1 FROM delayed WHERE id = ?1
         UNION ALL SELECT {MESSAGE}, NULL, 0, 0 FROM dead WHERE id = ?1 LIMIT 1"
    );
    let row = query(AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    let read = |row: SqliteRow| {
        let deliver_at: Option<i64> = row.try_get(MESSAGE_COLUMNS)?;
        Ok(Found {
            message: rows::read_message(&row, 0, types)?,
            deliver_at: deliver_at.map(read_time),
            dropped: row.try_get(MESSAGE_COLUMNS + 1)?,
            delayed: row.try_get(MESSAGE_COLUMNS + 2)?,
        })
    };
    row.map(read).transpose()
}

/// Failed attempts at one message, by handler.
async fn attempts(
    connection: &mut SqliteConnection,
    position: u64,
) -> Result<HashMap<i64, Vec<AttemptRecord>>, StoreError> {
    let sql = "SELECT handler, replay, attempt, failure FROM attempt WHERE seq = ? ORDER BY replay, attempt";
    let rows: Vec<SqliteRow> = query(sql)
        .bind(position.cast_signed())
        .fetch_all(connection)
        .await?;
    let mut attempts: HashMap<i64, Vec<AttemptRecord>> = HashMap::new();
    for row in &rows {
        let failure = read_failure(row.try_get(3)?)?;
        let record = AttemptRecord {
            replay: row.try_get(1)?,
            attempt: row.try_get(2)?,
            failure,
        };
        attempts.entry(row.try_get(0)?).or_default().push(record);
    }
    Ok(attempts)
}

async fn children(
    connection: &mut SqliteConnection,
    id: MessageId,
) -> Result<Vec<MessageId>, StoreError> {
    let rows: Vec<(Vec<u8>,)> =
        query_as("SELECT id FROM message WHERE cause = ? ORDER BY seq LIMIT 1000")
            .bind(id.as_bytes().as_slice())
            .fetch_all(connection)
            .await?;
    rows.iter().map(|(id,)| rows::read_id(id)).collect()
}
