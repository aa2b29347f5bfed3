//! To the dead letters: with an own copy of the message, and off the exceptions.

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::{SqliteConnection, query};

use super::error::StoreError;
use crate::{Failure, FailureKind};

/// Why a message dies that no attempt killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unattempted {
    /// It grew older than the retention before the handler took it.
    Expired,
    /// The handler is not in the wiring any more.
    HandlerRemoved,
    /// The handler is not bound to its type any more.
    TypeUnbound,
}

/// Buries the messages at `positions` (a JSON list) for one handler. `attempts` is of the attempt that failed last;
/// `None` takes it from the exception row.
pub(super) async fn bury(
    connection: &mut SqliteConnection,
    handler: i64,
    positions: &str,
    attempts: Option<u32>,
    failure: &Failure,
    died: Timestamp,
) -> Result<(), StoreError> {
    query(
        "INSERT OR REPLACE INTO dead (handler, seq, died, attempts, failure, id, type, accepted, source, subject,
                time, ordering_key, lane, correlation, cause, trace, data)
         SELECT ?1, m.seq, ?2, coalesce(?3, e.attempt, 0), ?4, m.id, m.type, m.accepted, m.source, m.subject,
                m.time, m.ordering_key, m.lane, m.correlation, m.cause, m.trace, m.data
         FROM message m LEFT JOIN exception e ON e.handler = ?1 AND e.seq = m.seq
         WHERE m.seq IN (SELECT value FROM json_each(?5)) ORDER BY m.seq",
    )
    .bind(handler)
    .bind(died.as_millis())
    .bind(attempts)
    .bind(failure_text(failure))
    .bind(positions)
    .execute(&mut *connection)
    .await?;
    query("DELETE FROM exception WHERE handler = ? AND seq IN (SELECT value FROM json_each(?))")
        .bind(handler)
        .bind(positions)
        .execute(connection)
        .await?;
    Ok(())
}

/// As it is stored.
pub(super) fn failure_text(failure: &Failure) -> String {
    serde_json::to_string(failure).expect("a failure is strings and numbers")
}

/// What [`failure_text`] wrote.
pub(super) fn read_failure(text: &str) -> Result<Failure, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("a failure is not readable"))
}

/// Why a message dies whose ordering key was given up with this message.
pub(super) fn blocked(head: Option<MessageId>, now: Timestamp) -> Failure {
    let head = head.map_or_else(|| "an earlier message".to_owned(), |id| format!("`{id}`"));
    Failure {
        kind: FailureKind::Blocked,
        chain: vec![format!("{head} of its ordering key was given up")],
        started: now,
        ran_ms: 0,
    }
}

impl Unattempted {
    /// As a failure at `now`.
    pub(super) fn failure(self, now: Timestamp) -> Failure {
        let (kind, reason) = match self {
            Self::Expired => (FailureKind::Expired, "expired before the handler took it"),
            Self::HandlerRemoved => (FailureKind::Expired, "handler removed"),
            Self::TypeUnbound => (FailureKind::Expired, "handler no longer bound to the type"),
        };
        Failure {
            kind,
            chain: vec![reason.to_owned()],
            started: now,
            ran_ms: 0,
        }
    }
}
