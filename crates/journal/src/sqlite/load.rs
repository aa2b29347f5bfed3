//! Reads the engine's state from the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{self, Arguments as _, SqliteConnection, SqlitePool};
use tokio::sync::Notify;

use super::cursor::{Cursor, encode};
use super::error::StoreError;
use super::order::{Key, Order};
use super::rows::{self, json_list};
use super::state::{Handler, State, Types};
use super::window::Window;

/// Everything, as it is after a start.
pub(super) async fn state(connection: &mut SqliteConnection) -> Result<State, StoreError> {
    let counted: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM message),
                max(coalesce((SELECT accepted FROM message ORDER BY seq DESC LIMIT 1), 0),
                    coalesce((SELECT accepted FROM delayed ORDER BY seq DESC LIMIT 1), 0),
                    coalesce((SELECT accepted FROM dead ORDER BY seq DESC LIMIT 1), 0))",
    )
    .fetch_one(&mut *connection)
    .await?;
    let delayed: (i64, Option<i64>) = sqlx::query_as("SELECT count(*), min(due) FROM delayed")
        .fetch_one(&mut *connection)
        .await?;
    let mut state = State {
        head: head(connection).await?,
        accepted: Timestamp::from_millis(counted.1),
        messages: counted.0.cast_unsigned(),
        delayed: delayed.0.cast_unsigned(),
        next_delayed: delayed.1.map(Timestamp::from_millis),
        size: size(connection).await?,
        types: Arc::new(types(connection).await?),
        ..State::default()
    };
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM handler")
        .fetch_all(&mut *connection)
        .await?;
    for id in ids {
        let handler = handler(connection, id).await?;
        state.handlers.insert(id, handler);
    }
    Ok(state)
}

/// When a schedule last ticked.
pub(super) async fn last_tick(
    readers: &SqlitePool,
    schedule: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = sqlx::query_scalar("SELECT at FROM schedule WHERE name = ?")
        .bind(schedule)
        .fetch_optional(readers)
        .await?;
    Ok(at.map(Timestamp::from_millis))
}

/// Bytes in use: pages that retention freed do not count.
pub(super) async fn size(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let bytes: i64 = sqlx::query_scalar(
        "SELECT ((SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count))
              * (SELECT page_size FROM pragma_page_size)",
    )
    .fetch_one(connection)
    .await?;
    Ok(bytes.cast_unsigned())
}

/// One handler, with nothing handed out and not open.
pub(super) async fn handler(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Handler, StoreError> {
    let (name, upto, done, seen, paused, ordered): (String, i64, Vec<u8>, i64, bool, bool) =
        sqlx::query_as("SELECT name, upto, done, seen, paused, ordered FROM handler WHERE id = ?")
            .bind(id)
            .fetch_one(&mut *connection)
            .await?;
    let types: Vec<(i64, i64)> =
        sqlx::query_as("SELECT type, since FROM binding WHERE handler = ?")
            .bind(id)
            .fetch_all(&mut *connection)
            .await?;
    let types: BTreeMap<i64, u64> = types
        .into_iter()
        .map(|(ty, since)| (ty, since.cast_unsigned()))
        .collect();
    let cursor = Cursor::restored(upto.cast_unsigned(), &done);
    let (exceptions, parked, due): (i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE state <> 0), min(due) FILTER (WHERE state = 0)
         FROM exception WHERE handler = ?",
    )
    .bind(id)
    .fetch_one(&mut *connection)
    .await?;
    let dead: i64 = sqlx::query_scalar("SELECT count(*) FROM dead WHERE handler = ?")
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    let (unsettled, latest) = ahead(connection, &cursor, &types).await?;
    Ok(Handler {
        name: name.into(),
        types: Arc::new(types),
        ordered,
        order: order(connection, id).await?,
        window: Window::starting_at(cursor.upto),
        cursor,
        latest,
        unsettled,
        exceptions: exceptions.cast_unsigned(),
        parked: parked.cast_unsigned(),
        dead: dead.cast_unsigned(),
        due: due.map(Timestamp::from_millis),
        due_changes: 0,
        paused,
        open: false,
        seen: Timestamp::from_millis(seen),
        generation: 0,
        wake: Arc::new(Notify::new()),
        reading: Arc::default(),
    })
}

/// The keys that are held: known before anything is handed out.
async fn order(connection: &mut SqliteConnection, handler: i64) -> Result<Order, StoreError> {
    let held: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT lane, ordering_key, count(*) FILTER (WHERE state = 1) FROM exception
         WHERE handler = ? AND ordering_key IS NOT NULL GROUP BY ordering_key, lane",
    )
    .bind(handler)
    .fetch_all(connection)
    .await?;
    let mut order = Order::default();
    for (lane, key, behind) in held {
        order.restore(Key::new(&lane, &key), behind.cast_unsigned());
    }
    Ok(order)
}

/// How many messages above the cursor are for it and not settled, and the position of the last.
async fn ahead(
    connection: &mut SqliteConnection,
    cursor: &Cursor,
    types: &BTreeMap<i64, u64>,
) -> Result<(u64, u64), StoreError> {
    let done = json_list(cursor.done.iter().copied());
    let (mut unsettled, mut latest) = (0, cursor.upto);
    for (ty, since) in types {
        let (count, last): (i64, Option<i64>) = sqlx::query_as(
            "SELECT count(*), max(seq) FROM message
             WHERE type = ? AND seq > ? AND seq NOT IN (SELECT value FROM json_each(?))",
        )
        .bind(ty)
        .bind(cursor.upto.max(*since).cast_signed())
        .bind(&done)
        .fetch_one(&mut *connection)
        .await?;
        unsettled += count.cast_unsigned();
        latest = latest.max(last.unwrap_or(0).cast_unsigned());
    }
    Ok((unsettled, latest))
}

/// The last position that was ever used: retention may have deleted the message, but nobody gets its number again.
async fn head(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let head: i64 = sqlx::query_scalar(
        "SELECT max((SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'),
                    (SELECT coalesce(max(upto), 0) FROM handler),
                    (SELECT coalesce(max(seq), 0) FROM delayed),
                    (SELECT coalesce(max(seq), 0) FROM dead),
                    (SELECT coalesce(max(since), 0) FROM binding))",
    )
    .fetch_one(connection)
    .await?;
    Ok(head.cast_unsigned())
}

async fn types(connection: &mut SqliteConnection) -> Result<Types, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, name FROM type")
        .fetch_all(connection)
        .await?;
    let mut types = Types::default();
    for (id, name) in rows {
        let name = name
            .parse()
            .map_err(|_| StoreError::Damaged("a listed type is not a message type"))?;
        types.add(id, name);
    }
    Ok(types)
}

/// Writes where handlers stand, in one statement.
pub(super) async fn save_cursors(
    connection: &mut SqliteConnection,
    cursors: &[(i64, u64, BTreeSet<u64>)],
) -> Result<(), StoreError> {
    if let [(id, upto, done)] = cursors {
        return save_cursor(connection, *id, *upto, done).await;
    }
    let statement = (
        "UPDATE handler SET upto = column2, done = column3 FROM",
        3,
        "WHERE id = column1",
    );
    rows::execute(
        connection,
        statement,
        cursors,
        |arguments, (id, upto, done)| {
            arguments.add(id)?;
            arguments.add(upto.cast_signed())?;
            arguments.add(encode(*upto, done))
        },
    )
    .await?;
    Ok(())
}

/// Writes where a handler stands.
pub(super) async fn save_cursor(
    connection: &mut SqliteConnection,
    id: i64,
    upto: u64,
    done: &BTreeSet<u64>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE handler SET upto = ?, done = ? WHERE id = ?")
        .bind(upto.cast_signed())
        .bind(encode(upto, done))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}
