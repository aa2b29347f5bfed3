//! Messages that some handler has yet to settle, with what is known of each delivery.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{AssertSqlSafe, Row as _, SqliteConnection, query, query_as};

use super::place::Place;
use super::{Found, MOST_LOADED, full};
use crate::sqlite::burial::read_failure;
use crate::sqlite::cursor::Cursor;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE, StoredMessage, json_list};
use crate::sqlite::state::Shared;
use crate::{AttemptRecord, Record, WaitingDelivery, WaitingMessage};

/// A handler as it stood at one moment.
struct Known {
    id: i64,
    name: Arc<str>,
    types: Arc<BTreeMap<i64, u64>>,
    cursor: Cursor,
}

/// One exception row.
struct Row {
    attempt: u32,
    crashes: u32,
    replay: u32,
    due: Timestamp,
    given_up: bool,
}

/// Exception rows and failed attempts of some messages, by handler and position.
struct Rows {
    exceptions: HashMap<(i64, u64), Row>,
    attempts: HashMap<(i64, u64), Vec<AttemptRecord>>,
}

/// One page of them, oldest first.
pub(super) async fn messages(
    connection: &mut SqliteConnection,
    shared: &Shared,
    after: u64,
) -> Result<Found, StoreError> {
    let (known, types) = {
        let state = shared.state();
        let handlers = state.handlers.iter();
        let known: Vec<Known> = handlers
            .map(|(id, handler)| Known {
                id: *id,
                name: handler.name.clone(),
                types: handler.types.clone(),
                cursor: handler.cursor.clone(),
            })
            .collect();
        (known, state.types.clone())
    };
    // What every handler is past is of interest only if a row waits for it.
    let floor = known.iter().map(|handler| handler.cursor.upto).min();
    let sql = format!(
        "SELECT {MESSAGE} FROM message WHERE seq > ?1 AND (seq > ?2 OR seq IN (SELECT seq FROM exception))
         ORDER BY seq LIMIT ?3"
    );
    let found = query(AssertSqlSafe(sql))
        .bind(after.cast_signed())
        .bind(floor.unwrap_or(u64::MAX >> 1).cast_signed())
        .bind(MOST_LOADED)
        .fetch_all(&mut *connection)
        .await?;
    let read = found.iter().map(|row| rows::read_message(row, 0, &types));
    let found: Vec<StoredMessage> = read.collect::<Result<_, _>>()?;
    let positions = json_list(found.iter().map(|message| message.position));
    let mut rows = Rows {
        exceptions: exceptions(connection, &positions).await?,
        attempts: attempts(connection, &positions).await?,
    };
    let last = found.last().map(|message| message.position);
    let next = last
        .filter(|_| full(found.len(), MOST_LOADED))
        .map(Place::Messages);
    let mut records = Vec::new();
    for message in found {
        let waiting = known.iter();
        let deliveries: Vec<WaitingDelivery> = waiting
            .filter_map(|handler| handler.waiting(&message, &mut rows))
            .collect();
        if !deliveries.is_empty() {
            records.push(Record::Message(WaitingMessage {
                accepted: message.accepted,
                deliver_at: None,
                deliveries,
                message: Arc::new(message.envelope),
            }));
        }
    }
    Ok((records, next))
}

impl Known {
    /// The delivery of a message to this handler, unless it is settled or none of its business.
    fn waiting(&self, message: &StoredMessage, rows: &mut Rows) -> Option<WaitingDelivery> {
        let position = message.position;
        let place = (self.id, position);
        let row = rows.exceptions.remove(&place);
        let concerned = self
            .types
            .get(&message.ty)
            .is_some_and(|since| *since < position);
        // Handed out to a stream that is gone is not settled either.
        let to_come = !self.cursor.is_past(position) || self.cursor.fresh.contains_key(&position);
        if row.is_none() && !(concerned && to_come) {
            return None;
        }
        let attempts = rows.attempts.remove(&place).unwrap_or_default();
        let last = || attempts.last().map(|attempt| attempt.failure.clone());
        let handler = self.name.to_string();
        Some(match row {
            Some(row) => WaitingDelivery {
                handler,
                due: (row.due > Timestamp::default()).then_some(row.due),
                attempt: row.attempt,
                crashes: row.crashes,
                replay: row.replay,
                parked: if row.given_up { last() } else { None },
                attempts,
            },
            None => WaitingDelivery {
                handler,
                due: None,
                attempt: 0,
                crashes: 0,
                replay: 0,
                parked: None,
                attempts,
            },
        })
    }
}

async fn exceptions(
    connection: &mut SqliteConnection,
    positions: &str,
) -> Result<HashMap<(i64, u64), Row>, StoreError> {
    let found: Vec<(i64, i64, u32, u32, u32, i64, i64)> = query_as(
        "SELECT handler, seq, attempt, crashes, replay, due, state FROM exception
         WHERE seq IN (SELECT value FROM json_each(?))",
    )
    .bind(positions)
    .fetch_all(connection)
    .await?;
    let row = |(handler, seq, attempt, crashes, replay, due, state): (i64, i64, _, _, _, _, _)| {
        let row = Row {
            attempt,
            crashes,
            replay,
            due: Timestamp::from_millis(due),
            given_up: state == 2,
        };
        ((handler, seq.cast_unsigned()), row)
    };
    Ok(found.into_iter().map(row).collect())
}

async fn attempts(
    connection: &mut SqliteConnection,
    positions: &str,
) -> Result<HashMap<(i64, u64), Vec<AttemptRecord>>, StoreError> {
    let found = query(
        "SELECT handler, seq, replay, attempt, failure FROM attempt
         WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq, handler, replay, attempt",
    )
    .bind(positions)
    .fetch_all(connection)
    .await?;
    let mut attempts: HashMap<_, Vec<AttemptRecord>> = HashMap::new();
    for row in &found {
        let place = (row.try_get(0)?, row.try_get::<i64, _>(1)?.cast_unsigned());
        attempts.entry(place).or_default().push(AttemptRecord {
            replay: row.try_get(2)?,
            attempt: row.try_get(3)?,
            failure: read_failure(row.try_get(4)?)?,
        });
    }
    Ok(attempts)
}
