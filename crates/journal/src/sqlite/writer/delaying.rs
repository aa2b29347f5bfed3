//! Messages that are not to be delivered yet: kept apart, and moved into the log when their time has come.

use std::collections::HashMap;
use std::time::Duration;

use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::{
    Arguments as _, AssertSqlSafe, Row as _, SqliteConnection, query, query_scalar,
};

use super::Writer;
use super::messages::{Batch, Stored};
use crate::NewMessage;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE, MESSAGE_COLUMNS, NewRow, json_list};
use crate::sqlite::state::{Shared, State};

/// Most messages that one write moves: publishers wait as long as that takes.
const MOVED: i64 = 128;
/// How long the writer waits before it tries again what failed.
const AGAIN: Duration = Duration::from_millis(500);

/// Messages for later that one write stores.
#[derive(Debug, Default)]
pub(super) struct Later<'a> {
    rows: Vec<(NewRow<'a>, Timestamp)>,
}

/// What is to be made known of them after the commit.
#[derive(Debug, Default)]
pub(super) struct Kept {
    count: u64,
    earliest: Option<Timestamp>,
    last: u64,
}

/// When this message is due, if that is still to come.
pub(super) fn due(message: &NewMessage, now: Timestamp) -> Option<Timestamp> {
    message.deliver_at.filter(|at| *at > now)
}

/// What this batch repeats from the other side: messages for now that are delayed, messages for later that are in the
/// log. Looked up only if there can be any.
pub(super) async fn repeated(
    connection: &mut SqliteConnection,
    shared: &Shared,
    messages: &[&NewMessage],
    now: Timestamp,
) -> Result<HashMap<MessageId, Vec<u8>>, StoreError> {
    let mut found = HashMap::new();
    let any_delayed = shared.state().delayed > 0;
    for (table, later) in [("delayed", false), ("message", true)] {
        if table == "delayed" && !any_delayed {
            continue;
        }
        let asked = messages
            .iter()
            .filter(|message| due(message, now).is_some() == later);
        let ids: Vec<&[u8]> = asked
            .map(|message| message.envelope.id.as_bytes().as_slice())
            .collect();
        let sql = format!("SELECT id, data FROM {table} WHERE id IN");
        for row in &rows::select_in(connection, &sql, &ids).await? {
            found.insert(rows::read_id(row.try_get(0)?)?, row.try_get(1)?);
        }
    }
    Ok(found)
}

impl<'a> Later<'a> {
    pub(super) fn push(&mut self, row: NewRow<'a>, due: Timestamp) {
        self.rows.push((row, due));
    }

    /// Writes them. False if some were there before.
    pub(super) async fn store(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<bool, StoreError> {
        let head = format!("INSERT INTO delayed ({MESSAGE}, due)");
        let statement = (
            head.as_str(),
            MESSAGE_COLUMNS + 1,
            "ON CONFLICT (id) DO NOTHING",
        );
        let inserted = rows::insert(
            connection,
            statement,
            &self.rows,
            |arguments, (row, due)| {
                rows::bind_message(arguments, row)?;
                arguments.add(due.as_millis())
            },
        )
        .await?;
        Ok(inserted == self.rows.len() as u64)
    }

    /// What is new of them.
    pub(super) fn kept(&self, stored: &[Stored]) -> Kept {
        let mut kept = Kept::default();
        let new = stored.iter().filter_map(|stored| match stored {
            Stored::Delayed(position) => Some(*position),
            _ => None,
        });
        for position in new {
            let row = self.rows.iter().find(|(row, _)| row.position == position);
            kept.count += 1;
            kept.last = kept.last.max(position);
            kept.earliest = row
                .map(|(_, due)| *due)
                .into_iter()
                .chain(kept.earliest)
                .min();
        }
        kept
    }
}

impl Kept {
    /// Makes them known: to be called after the commit only.
    pub(super) fn apply(&self, state: &mut State) {
        state.head = state.head.max(self.last);
        state.delayed += self.count;
        state.next_delayed = state.next_delayed.into_iter().chain(self.earliest).min();
    }
}

/// Waits for the time at which something is to be moved into the log; for ever if nothing is delayed.
pub(super) async fn something_due(shared: &Shared, failing: bool) {
    if failing {
        tokio::time::sleep(AGAIN).await;
    }
    let next = shared.state().next_delayed;
    match next {
        Some(next) => shared.clock.sleep_until(next).await,
        None => std::future::pending().await,
    }
}

impl Writer {
    /// Moves some of what is due into the log. A failure loses nothing: they are tried again.
    pub(super) async fn deliver_due(&mut self) {
        let now = self.shared.clock.now();
        let next = self.shared.state().next_delayed;
        if next.is_some_and(|next| next <= now) {
            self.answers.send();
            let outcome = self.move_due(now).await;
            // `something_due` comes back to it.
            self.failing |= self.checked(outcome).is_err();
        }
    }

    async fn move_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let (types, accepted) = {
            let state = shared.state();
            (state.types.clone(), state.accepted.max(now))
        };
        let mut transaction = self.begin().await?;
        let sql =
            format!("SELECT {MESSAGE}, due FROM delayed WHERE due <= ? ORDER BY due, id LIMIT ?");
        let found = query(AssertSqlSafe(sql))
            .bind(now.as_millis())
            .bind(MOVED)
            .fetch_all(&mut *transaction)
            .await?;
        let (mut positions, mut dues, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for row in &found {
            let message = rows::read_message(row, 0, &types)?;
            positions.push(message.position);
            dues.push(row.try_get::<i64, _>(MESSAGE_COLUMNS)?);
            messages.push(NewMessage {
                envelope: message.envelope,
                publisher: String::new(),
                idempotency_key: None,
                deliver_at: None,
            });
        }
        query("DELETE FROM delayed WHERE seq IN (SELECT value FROM json_each(?))")
            .bind(json_list(positions))
            .execute(&mut *transaction)
            .await?;
        let messages: Vec<&NewMessage> = messages.iter().collect();
        let batch = Batch::store(&mut transaction, &shared, &messages, accepted, || ()).await?;
        for (stored, due) in batch.stored.iter().zip(dues) {
            if let Stored::New(position) = stored {
                query("UPDATE message SET deliver_at = ? WHERE seq = ?")
                    .bind(due)
                    .bind(position.cast_signed())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        let next: Option<i64> = query_scalar("SELECT min(due) FROM delayed")
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.failing = false;
        let mut state = shared.state();
        batch.apply(&mut state);
        state.delayed = state.delayed.saturating_sub(found.len() as u64);
        state.next_delayed = next.map(Timestamp::from_millis);
        Ok(())
    }
}
