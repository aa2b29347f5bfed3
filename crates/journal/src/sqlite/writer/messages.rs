//! Messages into the log: numbered, deduplicated, inserted many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use futures_util::future::join;
use sea_orm::sqlx::{Arguments as _, Row as _, SqliteConnection, query};

use super::delaying::{self, Kept, Later};
use crate::NewMessage;
use crate::digest::{self, Digest};
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE, MESSAGE_COLUMNS, NewRow};
use crate::sqlite::state::{Shared, State};

/// What a row costs beside its payload, roughly: used between two measurements of the size.
const ROW_BYTES: u64 = 300;

/// What became of one message.
#[derive(Debug)]
pub(super) enum Stored {
    /// It has this position now.
    New(u64),
    /// It waits for its time, and has this number until then.
    Delayed(u64),
    /// It, or one with its key, was there before.
    Known {
        id: MessageId,
        /// With the same payload?
        same: bool,
    },
}

/// Messages that were written and are to be made known after the commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// One per message, in order.
    pub(super) stored: Vec<Stored>,
    /// Handed to its handlers as it is, without reading it back.
    added: Vec<Added>,
    new_types: Vec<(i64, MessageType)>,
    kept: Kept,
    bytes: u64,
    now: Timestamp,
}

/// What is in the log now.
#[derive(Debug)]
struct Added {
    position: u64,
    ty: i64,
    message: Arc<Envelope>,
}

impl Added {
    fn of(row: &NewRow<'_>) -> Self {
        Self {
            position: row.position,
            ty: row.ty,
            message: Arc::new(row.envelope.clone()),
        }
    }
}

impl Stored {
    /// A message with this id and payload was there before.
    fn known(message: &NewMessage, data: &[u8]) -> Self {
        Self::Known {
            id: message.envelope.id,
            same: data == &message.envelope.data[..],
        }
    }
}

impl Batch {
    /// Writes what is new of `messages`, and does something else while the database is at it.
    pub(super) async fn store(
        connection: &mut SqliteConnection,
        shared: &Shared,
        messages: &[&NewMessage],
        now: Timestamp,
        meanwhile: impl FnOnce(),
    ) -> Result<Self, StoreError> {
        let mut batch = Self {
            now,
            ..Self::default()
        };
        if messages.is_empty() {
            meanwhile();
            return Ok(batch);
        }
        let types = batch.types(connection, shared, messages).await?;
        let mut keys = Keys::find(connection, shared, messages, now).await?;
        let repeated = delaying::repeated(connection, shared, messages, now).await?;
        let head = shared.state().head;
        let (new, later) = batch.place(messages, &types, head, &mut keys, &repeated);
        let head = format!("INSERT INTO message ({MESSAGE})");
        let statement = (
            head.as_str(),
            MESSAGE_COLUMNS,
            "ON CONFLICT (id) DO NOTHING",
        );
        let inserting = rows::insert(connection, statement, &new, rows::bind_message);
        // In this order: the database has its work before this thread goes on with its own.
        let (inserted, added) = join(inserting, async {
            meanwhile();
            new.iter().map(Added::of).collect()
        })
        .await;
        batch.added = added;
        if inserted? < new.len() as u64 {
            batch.find_known(connection, "message", messages).await?;
        }
        if !later.store(connection).await? {
            batch.find_known(connection, "delayed", messages).await?;
        }
        batch.kept = later.kept(&batch.stored);
        keys.save(connection, now).await?;
        let written = batch
            .stored
            .iter()
            .zip(messages)
            .filter(|(stored, _)| matches!(stored, Stored::New(_) | Stored::Delayed(_)));
        batch.bytes = written
            .map(|(_, message)| ROW_BYTES + message.envelope.data.len() as u64)
            .sum();
        Ok(batch)
    }

    /// Gives every message that is new a position: in the log, or, if its time has not come, beside it.
    fn place<'a>(
        &mut self,
        messages: &[&'a NewMessage],
        types: &[i64],
        mut position: u64,
        keys: &mut Keys,
        repeated: &HashMap<MessageId, Vec<u8>>,
    ) -> (Vec<NewRow<'a>>, Later<'a>) {
        let mut new = Vec::with_capacity(messages.len());
        let mut later = Later::default();
        for (index, message) in messages.iter().copied().enumerate() {
            if let Some(known) = keys.claim(index, message) {
                self.stored.push(known);
                continue;
            }
            if let Some(data) = repeated.get(&message.envelope.id) {
                self.stored.push(Stored::known(message, data));
                continue;
            }
            position += 1;
            let row = NewRow {
                position,
                ty: types[index],
                accepted: self.now,
                envelope: &message.envelope,
            };
            if let Some(due) = delaying::due(message, self.now) {
                self.stored.push(Stored::Delayed(position));
                later.push(row, due);
            } else {
                self.stored.push(Stored::New(position));
                new.push(row);
            }
        }
        (new, later)
    }

    /// Makes the messages known: to be called after the commit only.
    pub(super) fn apply(&self, state: &mut State) {
        for (id, name) in &self.new_types {
            Arc::make_mut(&mut state.types).add(*id, name.clone());
        }
        for handler in state.handlers.values_mut() {
            let mut woken = false;
            for added in &self.added {
                if handler.concerns(added.ty, added.position) {
                    handler.arrived(added.position, Some(&added.message));
                    woken = true;
                }
            }
            if woken {
                handler.wake.notify_one();
            }
        }
        if let Some(last) = self.added.last() {
            state.head = state.head.max(last.position);
        }
        self.kept.apply(state);
        state.size += self.bytes;
        if !self.added.is_empty() {
            state.accepted = state.accepted.max(self.now);
            state.messages += self.added.len() as u64;
        }
    }

    /// The number of each message's type; a type that was never seen gets one.
    async fn types(
        &mut self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        messages: &[&NewMessage],
    ) -> Result<Vec<i64>, StoreError> {
        let known = shared.state().types.clone();
        let mut next = known.next_id();
        let mut new: HashMap<&MessageType, i64> = HashMap::new();
        let mut ids = Vec::with_capacity(messages.len());
        for message in messages {
            let name = &message.envelope.ty;
            let id = known.id(name).or_else(|| new.get(name).copied());
            ids.push(id.unwrap_or_else(|| {
                new.insert(name, next);
                self.new_types.push((next, name.clone()));
                next += 1;
                next - 1
            }));
        }
        for (id, name) in &self.new_types {
            add_type(connection, *id, name).await?;
        }
        Ok(ids)
    }

    /// Some ids were in this table before: finds out which, so that their receipts say so.
    async fn find_known(
        &mut self,
        connection: &mut SqliteConnection,
        table: &str,
        messages: &[&NewMessage],
    ) -> Result<(), StoreError> {
        let ids: Vec<&[u8]> = messages
            .iter()
            .map(|message| message.envelope.id.as_bytes().as_slice())
            .collect();
        let sql = format!("SELECT id, seq, data FROM {table} WHERE id IN");
        let found = rows::select_in(connection, &sql, &ids).await?;
        let mut before = HashMap::new();
        for row in &found {
            let seq: i64 = row.try_get(1)?;
            before.insert(
                rows::read_id(row.try_get(0)?)?,
                (seq.cast_unsigned(), row.try_get::<&[u8], _>(2)?),
            );
        }
        for (stored, message) in self.stored.iter_mut().zip(messages) {
            let id = message.envelope.id;
            if let (Stored::New(position) | Stored::Delayed(position), Some((seq, data))) =
                (&*stored, before.get(&id))
                && position != seq
            {
                let position = *position;
                *stored = Stored::known(message, data);
                self.added.retain(|added| added.position != position);
            }
        }
        Ok(())
    }
}

/// Lists a type.
pub(super) async fn add_type(
    connection: &mut SqliteConnection,
    id: i64,
    name: &MessageType,
) -> Result<(), StoreError> {
    query("INSERT INTO type (id, name) VALUES (?, ?)")
        .bind(id)
        .bind(name.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The idempotency keys of a batch.
struct Keys {
    /// For each message with a key: its scope and the digest of its payload.
    asked: HashMap<usize, (Digest, Digest)>,
    /// What has the scope now: from the database, or from earlier in this batch.
    taken: HashMap<Digest, (MessageId, Digest)>,
    new: Vec<(Digest, MessageId, Digest)>,
}

impl Keys {
    /// Looks up every key of the batch that is within the window.
    async fn find(
        connection: &mut SqliteConnection,
        shared: &Shared,
        messages: &[&NewMessage],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let keyed = messages.iter().enumerate().filter_map(|(index, message)| {
            let scope = digest::scope(message)?;
            Some((index, (scope, digest::payload(message))))
        });
        let asked: HashMap<_, _> = keyed.collect();
        let scopes: Vec<&[u8]> = asked.values().map(|(scope, _)| scope.as_slice()).collect();
        let expired = now.before(shared.limits.retention).as_millis();
        let mut taken = HashMap::new();
        for row in rows::select_in(
            connection,
            "SELECT scope, id, digest, at FROM dedup WHERE scope IN",
            &scopes,
        )
        .await?
        {
            if row.try_get::<i64, _>(3)? > expired {
                taken.insert(
                    read_digest(row.try_get(0)?)?,
                    (
                        rows::read_id(row.try_get(1)?)?,
                        read_digest(row.try_get(2)?)?,
                    ),
                );
            }
        }
        Ok(Self {
            asked,
            taken,
            new: Vec::new(),
        })
    }

    /// Takes the key of a message, or says who has it.
    fn claim(&mut self, index: usize, message: &NewMessage) -> Option<Stored> {
        let (scope, digest) = *self.asked.get(&index)?;
        if let Some((id, first)) = self.taken.get(&scope) {
            return Some(Stored::Known {
                id: *id,
                same: *first == digest,
            });
        }
        self.taken.insert(scope, (message.envelope.id, digest));
        self.new.push((scope, message.envelope.id, digest));
        None
    }

    async fn save(
        &self,
        connection: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = (
            "INSERT OR REPLACE INTO dedup (scope, id, digest, at)",
            4,
            "",
        );
        rows::insert(
            connection,
            statement,
            &self.new,
            |arguments, (scope, id, digest)| {
                arguments.add(scope.as_slice())?;
                arguments.add(id.as_bytes().as_slice())?;
                arguments.add(digest.as_slice())?;
                arguments.add(now.as_millis())
            },
        )
        .await?;
        Ok(())
    }
}

fn read_digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    digest::read(bytes).ok_or(StoreError::Damaged("a digest is not 16 bytes"))
}
