//! Rows in and out: multi-row statements, and messages as columns.

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use sea_orm::sqlx::error::BoxDynError;
use sea_orm::sqlx::sqlite::{SqliteArguments, SqliteRow};
use sea_orm::sqlx::{self, Arguments as _, AssertSqlSafe, Row as _, SqliteConnection};

use super::error::StoreError;
use super::state::Types;

/// The columns of a message, in the order that [`read_message`] and [`bind_message`] know.
pub(super) const MESSAGE: &str = "seq, id, type, accepted, source, subject, time, ordering_key, lane, correlation, cause, trace, data";

/// How many columns that are.
pub(super) const MESSAGE_COLUMNS: usize = 13;

/// Largest number of rows in one statement.
const MOST: usize = 512;

/// A message on its way into the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'a> {
    pub(super) position: u64,
    pub(super) ty: i64,
    pub(super) accepted: Timestamp,
    pub(super) envelope: &'a Envelope,
}

/// A message from the log.
#[derive(Debug)]
pub(super) struct StoredMessage {
    pub(super) position: u64,
    pub(super) ty: i64,
    pub(super) accepted: Timestamp,
    pub(super) envelope: Envelope,
}

/// Inserts all rows, in as few statements as needed. Answers how many were.
pub(super) async fn insert<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    bind: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
) -> Result<u64, sqlx::Error> {
    let head = format!("{head} SELECT * FROM");
    let tail = format!("WHERE column1 IS NOT NULL {tail}");
    execute(connection, (&head, columns, &tail), rows, bind).await
}

/// Runs `{head} (VALUES (…), (…)) {tail}` over all rows, in as few statements as needed: each is waited for. Answers how
/// many rows changed.
///
/// The values are padded with rows of nulls, so that few statements are prepared: `tail` leaves out what has no `column1`.
pub(super) async fn execute<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    bind: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
) -> Result<u64, sqlx::Error> {
    let tuple = format!("({})", vec!["?"; columns].join(","));
    let mut changed = 0;
    for chunk in rows.chunks(MOST) {
        let tuples = vec![tuple.as_str(); padded(chunk.len())].join(",");
        let sql = format!("{head} (VALUES {tuples}) {tail}");
        let mut arguments = SqliteArguments::default();
        arguments.reserve(chunk.len() * columns, 0);
        for row in chunk {
            bind(&mut arguments, row).map_err(sqlx::Error::Encode)?;
        }
        // What is not bound is null.
        changed += sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *connection)
            .await?
            .rows_affected();
    }
    Ok(changed)
}

/// How many rows the statement for so many has: a power of two, or three quarters of one.
fn padded(rows: usize) -> usize {
    let power = rows.next_power_of_two();
    let less = power / 4 * 3;
    if less < rows { power } else { less }
}

/// Runs `{head} (?, ?, …)` over all blobs, in as few statements as needed, and gathers the rows.
pub(super) async fn select_in(
    connection: &mut SqliteConnection,
    head: &str,
    blobs: &[&[u8]],
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut found = Vec::new();
    for chunk in blobs.chunks(MOST) {
        // Padded with nulls, which match nothing, so that few statements are prepared.
        let places = chunk.len().next_power_of_two();
        let sql = format!("{head} ({})", vec!["?"; places].join(", "));
        let mut arguments = SqliteArguments::default();
        for place in 0..places {
            arguments
                .add(chunk.get(place).copied())
                .map_err(sqlx::Error::Encode)?;
        }
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .fetch_all(&mut *connection)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Positions as a JSON array, for `json_each`.
pub(super) fn json_list(positions: impl IntoIterator<Item = u64>) -> String {
    let texts: Vec<String> = positions
        .into_iter()
        .map(|position| position.to_string())
        .collect();
    format!("[{}]", texts.join(","))
}

/// Binds the columns of [`MESSAGE`].
pub(super) fn bind_message(
    arguments: &mut SqliteArguments,
    row: &NewRow<'_>,
) -> Result<(), BoxDynError> {
    let message = row.envelope;
    let own_lane = message.lane == message.ty.as_str();
    arguments.add(row.position.cast_signed())?;
    arguments.add(message.id.as_bytes().as_slice())?;
    arguments.add(row.ty)?;
    arguments.add(row.accepted.as_millis())?;
    arguments.add(message.source.as_str())?;
    arguments.add(message.subject.as_deref())?;
    arguments.add(message.time.as_millis())?;
    arguments.add(message.key.as_deref())?;
    arguments.add((!own_lane).then_some(message.lane.as_str()))?;
    arguments.add(
        (message.correlation != message.id).then_some(message.correlation.as_bytes().as_slice()),
    )?;
    arguments.add(
        message
            .cause
            .as_ref()
            .map(|cause| cause.as_bytes().as_slice()),
    )?;
    arguments.add(message.trace.map(|trace| trace.to_string()))?;
    arguments.add(&message.data[..])?;
    Ok(())
}

/// Reads the columns of [`MESSAGE`] that begin at `first`.
pub(super) fn read_message(
    row: &SqliteRow,
    first: usize,
    types: &Types,
) -> Result<StoredMessage, StoreError> {
    let ty: i64 = row.try_get(first + 2)?;
    let name = types.name(ty).ok_or(StoreError::Damaged(
        "a message has a type that is not listed",
    ))?;
    let id = read_id(row.try_get(first + 1)?)?;
    let correlation: Option<&[u8]> = row.try_get(first + 9)?;
    let cause: Option<&[u8]> = row.try_get(first + 10)?;
    let trace: Option<&str> = row.try_get(first + 11)?;
    let data: Vec<u8> = row.try_get(first + 12)?;
    Ok(StoredMessage {
        position: row.try_get::<i64, _>(first)?.cast_unsigned(),
        ty,
        accepted: Timestamp::from_millis(row.try_get(first + 3)?),
        envelope: Envelope {
            id,
            ty: name.clone(),
            source: row.try_get(first + 4)?,
            subject: row.try_get(first + 5)?,
            time: Timestamp::from_millis(row.try_get(first + 6)?),
            key: row.try_get(first + 7)?,
            lane: read_lane(row.try_get(first + 8)?, name),
            correlation: correlation.map_or(Ok(id), read_id)?,
            cause: cause.map(read_id).transpose()?,
            // A trace is a convenience: one that cannot be read is no reason to hold the message back.
            trace: trace.and_then(|text| text.parse().ok()),
            data: data.into(),
        },
    })
}

fn read_lane(lane: Option<String>, ty: &MessageType) -> String {
    lane.unwrap_or_else(|| ty.as_str().to_owned())
}

/// The 16 bytes of an id.
pub(super) fn read_id(bytes: &[u8]) -> Result<MessageId, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Damaged("an id is not 16 bytes"))?;
    Ok(MessageId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_statements_serve_any_number_of_rows() {
        let mut sizes: Vec<usize> = (1..=MOST).map(padded).collect();
        assert!((1..=MOST).all(|rows| sizes[rows - 1] >= rows));
        sizes.dedup();
        assert_eq!(sizes[..7], [1, 2, 3, 4, 6, 8, 12]);
        assert_eq!((sizes.len(), sizes.last()), (18, Some(&MOST)));
    }
}
