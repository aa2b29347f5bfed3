//! Pages of messages and of dead letters, and one message in full.

mod dead;
mod places;

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::sqlite::SqliteRow;
use sea_orm::sqlx::{
    AssertSqlSafe, QueryBuilder, Row as _, Sqlite, SqliteConnection, query, query_as,
};

pub(super) use self::dead::dead_letters;
use self::places::{Place, Places};
use super::burial::read_failure;
use super::error::StoreError;
use super::rows::{self, MESSAGE, StoredMessage};
use super::state::{Shared, Types};
use crate::{
    AttemptRecord, DeliveryRecord, DeliveryState, MessageDetail, MessageQuery, MessageRecord,
    MessageState, Page, UnknownCursor,
};

/// Most rows of one page.
const MOST: usize = 500;
/// Most rows that one call looks at when the state, which no index knows, filters most of them out.
const SCANNED: usize = 10_000;

/// See [`crate::Journal::messages`].
pub(super) async fn messages(
    shared: &Shared,
    query: MessageQuery,
) -> Result<Page<MessageRecord>, StoreError> {
    let limit = query.limit.clamp(1, MOST);
    let mut before = query
        .cursor
        .as_deref()
        .map_or(Ok(u64::MAX >> 1), read_cursor)?;
    let Some(filter) = Filter::new(shared, &query) else {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    };
    let mut connection = shared.readers.acquire().await?;
    let mut items = Vec::new();
    let mut scanned = 0;
    while scanned < SCANNED {
        // With a state, most rows of a chunk may not match it.
        let chunk = if query.state.is_some() {
            MOST
        } else {
            limit - items.len() + 1
        };
        let places = Places::of(shared);
        let rows = filter
            .page(before, chunk)
            .build()
            .fetch_all(&mut *connection)
            .await?;
        let found = rows
            .iter()
            .map(|row| rows::read_message(row, 0, &filter.types));
        let found: Vec<StoredMessage> = found.collect::<Result<_, _>>()?;
        let states = places.deliveries(&mut connection, &found).await?;
        scanned += found.len();
        let last_chunk = found.len() < chunk;
        for (message, places) in found.into_iter().zip(states) {
            if items.len() == limit {
                return Ok(Page {
                    items,
                    next: Some(before.to_string()),
                });
            }
            before = message.position;
            if let Some(state) = filter.state(&query, &places) {
                let (accepted, message) = (message.accepted, Arc::new(message.envelope));
                items.push(MessageRecord {
                    message,
                    accepted,
                    state,
                    deliver_at: None,
                    payload_dropped: false,
                });
            }
        }
        if last_chunk {
            return Ok(Page { items, next: None });
        }
    }
    Ok(Page {
        items,
        next: Some(before.to_string()),
    })
}

/// What a list asks for, in the engine's own numbers.
struct Filter<'a> {
    query: &'a MessageQuery,
    ty: Option<i64>,
    handler: Option<(i64, Vec<i64>)>,
    types: Arc<Types>,
}

impl<'a> Filter<'a> {
    /// `None` if nothing can match: the type or the handler was never seen.
    fn new(shared: &Shared, query: &'a MessageQuery) -> Option<Self> {
        let state = shared.state();
        let ty = match &query.ty {
            Some(name) => Some(state.types.id(name)?),
            None => None,
        };
        let handler = match &query.handler {
            Some(name) => {
                let (id, handler) = state.handler_named(name)?;
                Some((id, handler.types.keys().copied().collect()))
            }
            None => None,
        };
        Some(Self {
            query,
            ty,
            handler,
            types: state.types.clone(),
        })
    }

    /// One chunk of rows, newest first.
    fn page(&self, before: u64, limit: usize) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new(format!("SELECT {MESSAGE} FROM message WHERE seq < "));
        sql.push_bind(before.cast_signed());
        if let Some(ty) = self.ty {
            sql.push(" AND type = ").push_bind(ty);
        }
        if let Some((_, types)) = &self.handler {
            sql.push(" AND type IN (SELECT value FROM json_each(")
                .push_bind(format!("{types:?}"))
                .push("))");
        }
        if let Some(key) = &self.query.key {
            sql.push(" AND ordering_key = ").push_bind(key.clone());
        }
        if let Some(id) = &self.query.correlation {
            let id = id.as_bytes().to_vec();
            sql.push(" AND (correlation = ").push_bind(id.clone());
            sql.push(" OR (correlation IS NULL AND id = ")
                .push_bind(id)
                .push("))");
        }
        if let Some(since) = self.query.since {
            sql.push(" AND accepted >= ").push_bind(since.as_millis());
        }
        if let Some(until) = self.query.until {
            sql.push(" AND accepted < ").push_bind(until.as_millis());
        }
        if let Some(table) = rows_of(self.query.state) {
            sql.push(" AND seq IN (SELECT seq FROM ")
                .push(table)
                .push(")");
        }
        sql.push(" ORDER BY seq DESC LIMIT ")
            .push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        sql
    }

    /// The state to show, if the message is among what was asked for.
    fn state(&self, query: &MessageQuery, places: &[Place]) -> Option<MessageState> {
        let over_all = places
            .iter()
            .map(|place| of_message(place.state))
            .max_by_key(|state| weight(*state));
        let over_all = over_all.unwrap_or(MessageState::Unhandled);
        let asked = match &self.handler {
            Some((id, _)) => of_message(places.iter().find(|place| place.handler == *id)?.state),
            None => over_all,
        };
        query
            .state
            .is_none_or(|wanted| wanted == asked)
            .then_some(over_all)
    }
}

/// The table in which every message of this state has a row.
fn rows_of(state: Option<MessageState>) -> Option<&'static str> {
    match state? {
        MessageState::Dead => Some("dead"),
        MessageState::Retrying => Some("exception"),
        MessageState::Delayed
        | MessageState::Unhandled
        | MessageState::Acked
        | MessageState::Pending
        | MessageState::Parked => None,
    }
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

/// See [`crate::Journal::message`].
pub(super) async fn detail(
    shared: &Shared,
    id: MessageId,
) -> Result<Option<MessageDetail>, StoreError> {
    let places = Places::of(shared);
    let types = shared.state().types.clone();
    let mut connection = shared.readers.acquire().await?;
    let Some(message) = find(&mut connection, id, &types).await? else {
        return Ok(None);
    };
    let position = message.position;
    let found = places
        .deliveries(&mut connection, std::slice::from_ref(&message))
        .await?;
    let found = found.into_iter().next().unwrap_or_default();
    let mut failed = attempts(&mut connection, position).await?;
    let replays: Vec<(i64, u32)> = query_as("SELECT handler, number FROM replay WHERE seq = ?")
        .bind(position.cast_signed())
        .fetch_all(&mut *connection)
        .await?;
    let replays: HashMap<i64, u32> = replays.into_iter().collect();
    let children = children(&mut connection, id).await?;
    let worst = found
        .iter()
        .map(|place| of_message(place.state))
        .max_by_key(|state| weight(*state));
    let deliveries = found.into_iter().map(|place| {
        let attempts = failed.remove(&place.handler).unwrap_or_default();
        let replay = replays.get(&place.handler).copied().unwrap_or(0);
        delivery(place, replay, attempts)
    });
    Ok(Some(MessageDetail {
        deliveries: deliveries.collect(),
        children,
        record: MessageRecord {
            message: Arc::new(message.envelope),
            accepted: message.accepted,
            state: worst.unwrap_or(MessageState::Unhandled),
            deliver_at: None,
            payload_dropped: false,
        },
    }))
}

fn delivery(place: Place, replay: u32, attempts: Vec<AttemptRecord>) -> DeliveryRecord {
    // An ack leaves no row: it was the attempt after those that failed.
    let acked = attempts
        .iter()
        .filter(|failed| failed.replay == replay)
        .map(|failed| failed.attempt)
        .max();
    DeliveryRecord {
        handler: place.name.to_string(),
        state: place.state,
        attempt: match place.state {
            DeliveryState::Acked => acked.unwrap_or(0) + 1,
            _ => place.attempt,
        },
        replay,
        due: place.due,
        attempts,
    }
}

/// From the log, or, when retention took it from there, from a dead letter.
async fn find(
    connection: &mut SqliteConnection,
    id: MessageId,
    types: &Types,
) -> Result<Option<StoredMessage>, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE} FROM message WHERE id = ?1 UNION ALL SELECT {MESSAGE} FROM dead WHERE id = ?1 LIMIT 1"
    );
    let row = query(AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.map(|row| rows::read_message(&row, 0, types))
        .transpose()
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
