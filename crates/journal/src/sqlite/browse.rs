//! Pages of messages and of dead letters, and one message in full.

mod dead;
mod detail;
mod filter;
mod places;

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, query};

pub(super) use self::dead::dead_letters;
pub(super) use self::detail::detail;
use self::filter::Filter;
use self::places::Places;
use super::error::StoreError;
use super::rows::{self, MESSAGE, MESSAGE_COLUMNS, json_list};
use super::state::{Shared, Types};
use crate::{DeliveryState, MessageQuery, MessageRecord, MessageState, Page, UnknownCursor};

/// Most rows of one page.
const MOST: usize = 500;
/// Most rows that one call looks at when what is asked for, which no index knows, leaves most of them out.
const SCANNED: usize = 10_000;
/// Most bytes of payload that one call searches, beyond its last chunk.
const SEARCHED: u64 = 64 << 20;
/// Rows of which the payload is searched at once.
const SEARCHED_ROWS: usize = 100;

/// A row that belongs to the list.
struct Listed {
    position: u64,
    state: MessageState,
}

/// See [`crate::Journal::messages`].
pub(super) async fn messages(
    shared: &Shared,
    query: MessageQuery,
) -> Result<Page<MessageRecord>, StoreError> {
    let start = match query.cursor.as_deref() {
        Some(cursor) => read_cursor(cursor)?,
        None if query.oldest_first => 0,
        None => u64::MAX >> 1,
    };
    let Some(mut filter) = Filter::new(shared, &query) else {
        return Ok(Page {
            items: Vec::new(),
            next: query.oldest_first.then(|| start.to_string()),
        });
    };
    let mut connection = shared.readers.acquire().await?;
    // One look at the database: what moves meanwhile is not missed and not seen twice.
    let mut reading = connection.begin().await?;
    filter.locate(&mut reading).await?;
    let (listed, next) = list(shared, &query, &filter, start, &mut reading).await?;
    let items = records(&mut reading, &listed, &filter.types).await?;
    reading.rollback().await?;
    let next = next.map(|next| next.to_string());
    Ok(Page { items, next })
}

/// What belongs on the page, and where the next one begins.
async fn list(
    shared: &Shared,
    query: &MessageQuery,
    filter: &Filter<'_>,
    start: u64,
    connection: &mut SqliteConnection,
) -> Result<(Vec<Listed>, Option<u64>), StoreError> {
    let limit = query.limit.clamp(1, MOST);
    // Committed before the first row is read: the rows show at least this.
    let head = shared.state().head;
    let (mut listed, mut at) = (Vec::new(), start);
    let (mut scanned, mut searched) = (0, 0);
    while scanned < SCANNED && searched < SEARCHED {
        let chunk = match (&query.text, filter.looks()) {
            (Some(_), _) => SEARCHED_ROWS,
            (None, true) => MOST,
            (None, false) => limit - listed.len() + 1,
        };
        let places = Places::of(shared);
        let rows = filter
            .page(at, chunk, &places)
            .build()
            .fetch_all(&mut *connection)
            .await?;
        let known: Vec<(u64, i64)> = rows
            .iter()
            .map(|row| Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), row.try_get(1)?)))
            .collect::<Result<_, StoreError>>()?;
        let states = places.deliveries(connection, &known).await?;
        scanned += rows.len();
        for (row, ((position, _), places)) in rows.iter().zip(known.into_iter().zip(states)) {
            if listed.len() == limit {
                return Ok((listed, Some(at)));
            }
            at = position;
            searched += row.try_get::<i64, _>(4)?.cast_unsigned();
            if row.try_get(3)?
                && let Some(state) = filter.state(row.try_get(2)?, &places)
            {
                listed.push(Listed { position, state });
            }
        }
        if rows.len() < chunk {
            // Followers go on behind everything that was there.
            return Ok((listed, query.oldest_first.then_some(at.max(head))));
        }
    }
    Ok((listed, Some(at)))
}

/// The messages themselves, in the order of the list.
async fn records(
    connection: &mut SqliteConnection,
    listed: &[Listed],
    types: &Types,
) -> Result<Vec<MessageRecord>, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE}, deliver_at, dropped FROM message WHERE seq IN (SELECT value FROM json_each(?1))
         UNION ALL
         SELECT {MESSAGE}, due, 0 FROM delayed WHERE seq IN (SELECT value FROM json_each(?1))"
    );
    let rows = query(AssertSqlSafe(sql))
        .bind(json_list(listed.iter().map(|one| one.position)))
        .fetch_all(connection)
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let message = rows::read_message(row, 0, types)?;
        let deliver_at: Option<i64> = row.try_get(MESSAGE_COLUMNS)?;
        let dropped: bool = row.try_get(MESSAGE_COLUMNS + 1)?;
        found.insert(message.position, (message, deliver_at, dropped));
    }
    let records = listed.iter().filter_map(|one| {
        let (message, deliver_at, payload_dropped) = found.remove(&one.position)?;
        Some(MessageRecord {
            message: Arc::new(message.envelope),
            accepted: message.accepted,
            state: one.state,
            deliver_at: deliver_at.map(read_time),
            payload_dropped,
        })
    });
    Ok(records.collect())
}

fn of_message(state: DeliveryState) -> MessageState {
    match state {
        DeliveryState::Acked => MessageState::Acked,
        DeliveryState::Pending | DeliveryState::Running => MessageState::Pending,
        DeliveryState::Retrying => MessageState::Retrying,
        DeliveryState::Parked => MessageState::Parked,
        DeliveryState::Dead => MessageState::Dead,
    }
}

/// The worst is the heaviest.
fn weight(state: MessageState) -> u8 {
    match state {
        MessageState::Unhandled | MessageState::Delayed => 0,
        MessageState::Acked => 1,
        MessageState::Pending => 2,
        MessageState::Retrying => 3,
        MessageState::Parked => 4,
        MessageState::Dead => 5,
    }
}

/// Where the last page ended.
fn read_cursor(text: &str) -> Result<u64, StoreError> {
    text.parse()
        .ok()
        .filter(|position| *position <= u64::MAX >> 1)
        .ok_or(StoreError::Cursor(UnknownCursor))
}

/// A time as the database has it.
fn read_time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
