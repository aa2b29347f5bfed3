//! The journal as a stream of records, page by page: what another engine needs to go on from here.

mod place;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{AssertSqlSafe, Row as _, SqliteConnection, query, query_as};

use self::place::Place;
use super::burial::read_failure;
use super::error::StoreError;
use super::rows::{self, MESSAGE, MESSAGE_COLUMNS};
use super::state::{Shared, Types};
use crate::{DeadLetter, HandlerRecord, KeyRecord, Page, Record, WaitingMessage};

/// Most records of one page that carry no payload.
const MOST: i64 = 500;
/// Most records of one page that do.
const MOST_LOADED: i64 = 100;

/// Records, and where they go on; `None` if there are no more of their kind.
type Found = (Vec<Record>, Option<Place>);

/// See [`crate::Journal::export`].
pub(super) async fn export(
    shared: &Shared,
    cursor: Option<String>,
) -> Result<Page<Record>, StoreError> {
    let place = match cursor {
        Some(text) => Place::read(&text)?,
        None => Place::Handlers(0),
    };
    let types = shared.state().types.clone();
    let mut connection = shared.readers.acquire().await?;
    let connection = &mut *connection;
    let (items, next) = match &place {
        Place::Handlers(after) => handlers(connection, &types, *after).await?,
        Place::Messages(after) => waiting::messages(connection, shared, *after).await?,
        Place::Delayed(after) => delayed(connection, &types, *after).await?,
        Place::DeadLetters(after) => dead_letters(connection, &types, *after).await?,
        Place::Keys(after) => keys(connection, after).await?,
        Place::Schedules(after) => schedules(connection, after).await?,
    };
    let next = next.or_else(|| place.next_kind());
    Ok(Page {
        items,
        next: next.map(|next| next.to_string()),
    })
}

/// Is there another page after so many rows?
fn full(rows: usize, most: i64) -> bool {
    rows as i64 >= most
}

async fn handlers(
    connection: &mut SqliteConnection,
    types: &Types,
    after: i64,
) -> Result<Found, StoreError> {
    let found: Vec<(i64, String, bool)> =
        query_as("SELECT id, name, paused FROM handler WHERE id > ? ORDER BY id LIMIT ?")
            .bind(after)
            .bind(MOST)
            .fetch_all(&mut *connection)
            .await?;
    let bound: Vec<(i64, i64)> = query_as("SELECT handler, type FROM binding")
        .fetch_all(connection)
        .await?;
    let mut of_handler: HashMap<i64, Vec<_>> = HashMap::new();
    for (handler, ty) in bound {
        let names = of_handler.entry(handler).or_default();
        names.extend(types.name(ty).cloned());
    }
    let last = found.last().map(|(id, ..)| *id);
    let next = last
        .filter(|_| full(found.len(), MOST))
        .map(Place::Handlers);
    let records = found.into_iter().map(|(handler, id, paused)| {
        Record::Handler(HandlerRecord {
            id,
            types: of_handler.remove(&handler).unwrap_or_default(),
            paused,
        })
    });
    Ok((records.collect(), next))
}

async fn delayed(
    connection: &mut SqliteConnection,
    types: &Types,
    after: u64,
) -> Result<Found, StoreError> {
    let sql = format!("SELECT {MESSAGE}, due FROM delayed WHERE seq > ? ORDER BY seq LIMIT ?");
    let found = query(AssertSqlSafe(sql))
        .bind(after.cast_signed())
        .bind(MOST_LOADED)
        .fetch_all(connection)
        .await?;
    let (mut records, mut last) = (Vec::new(), after);
    for row in &found {
        let message = rows::read_message(row, 0, types)?;
        last = message.position;
        records.push(Record::Message(WaitingMessage {
            accepted: message.accepted,
            deliver_at: Some(Timestamp::from_millis(row.try_get(MESSAGE_COLUMNS)?)),
            deliveries: Vec::new(),
            message: Arc::new(message.envelope),
        }));
    }
    let next = full(found.len(), MOST_LOADED).then_some(Place::Delayed(last));
    Ok((records, next))
}

async fn dead_letters(
    connection: &mut SqliteConnection,
    types: &Types,
    after: i64,
) -> Result<Found, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE}, n, (SELECT name FROM handler WHERE handler.id = dead.handler), died, attempts, failure
         FROM dead WHERE n > ? ORDER BY n LIMIT ?"
    );
    let found = query(AssertSqlSafe(sql))
        .bind(after)
        .bind(MOST_LOADED)
        .fetch_all(connection)
        .await?;
    let (mut records, mut last) = (Vec::new(), after);
    for row in &found {
        last = row.try_get(MESSAGE_COLUMNS)?;
        records.push(Record::DeadLetter(DeadLetter {
            message: Arc::new(rows::read_message(row, 0, types)?.envelope),
            handler: row.try_get(MESSAGE_COLUMNS + 1)?,
            died: Timestamp::from_millis(row.try_get(MESSAGE_COLUMNS + 2)?),
            attempts: row.try_get(MESSAGE_COLUMNS + 3)?,
            failure: read_failure(row.try_get(MESSAGE_COLUMNS + 4)?)?,
        }));
    }
    let next = full(found.len(), MOST_LOADED).then_some(Place::DeadLetters(last));
    Ok((records, next))
}

/// A row of `dedup`: scope, id, digest, time.
type KeyRow = (Vec<u8>, Vec<u8>, Vec<u8>, i64);

async fn keys(connection: &mut SqliteConnection, after: &[u8]) -> Result<Found, StoreError> {
    let found: Vec<KeyRow> =
        query_as("SELECT scope, id, digest, at FROM dedup WHERE scope > ? ORDER BY scope LIMIT ?")
            .bind(after)
            .bind(MOST)
            .fetch_all(connection)
            .await?;
    let last = found.last().map(|(scope, ..)| scope.clone());
    let next = last.filter(|_| full(found.len(), MOST)).map(Place::Keys);
    let mut records = Vec::with_capacity(found.len());
    for (scope, id, digest, at) in found {
        records.push(Record::Key(KeyRecord {
            scope,
            id: rows::read_id(&id)?,
            digest,
            at: Timestamp::from_millis(at),
        }));
    }
    Ok((records, next))
}

async fn schedules(connection: &mut SqliteConnection, after: &str) -> Result<Found, StoreError> {
    let found: Vec<(String, i64)> =
        query_as("SELECT name, at FROM schedule WHERE name > ? ORDER BY name LIMIT ?")
            .bind(after)
            .bind(MOST)
            .fetch_all(connection)
            .await?;
    let last = found.last().map(|(name, _)| name.clone());
    let next = last
        .filter(|_| full(found.len(), MOST))
        .map(Place::Schedules);
    let records = found.into_iter().map(|(name, at)| Record::Schedule {
        name,
        at: Timestamp::from_millis(at),
    });
    Ok((records.collect(), next))
}
