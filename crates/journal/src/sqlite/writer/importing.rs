//! Records of another engine, into the database. What is there already stays as it is.
//!
//! A message gets a position that every cursor is past; who has yet to settle it gets an exception row. The order of
//! keys is made of these rows when their handler is opened.

mod letters;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use sea_orm::sqlx::{Arguments as _, SqliteConnection, query, query_scalar};

use self::standing::{Standing, Standings};
use super::Writer;
use super::messages::add_type;
use super::waiting::{self, For, Waiting};
use crate::digest;
use crate::sqlite::burial::failure_text;
use crate::sqlite::error::StoreError;
use crate::sqlite::load;
use crate::sqlite::order::Key;
use crate::sqlite::rows::{self, MESSAGE, MESSAGE_COLUMNS, NewRow};
use crate::sqlite::state::{Handler, State, Types};
use crate::{AttemptRecord, HandlerRecord, KeyRecord, Record, WaitingDelivery, WaitingMessage};

/// One batch on its way in.
struct Incoming {
    types: Types,
    new_types: Vec<(i64, MessageType)>,
    handlers: Standings,
    /// The last position that was used.
    head: u64,
    /// When the last message was accepted: the log never goes back.
    accepted: Timestamp,
    messages: u64,
    delayed: u64,
    earliest: Option<Timestamp>,
    now: Timestamp,
}

impl Writer {
    /// Takes records in, in one write.
    pub(super) async fn import(&mut self, batch: &[Record]) -> Result<(), StoreError> {
        let outcome = self.try_import(batch).await;
        self.checked(outcome)
    }

    async fn try_import(&mut self, batch: &[Record]) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let mut incoming = Incoming::into(&shared.state(), shared.clock.now())?;
        let mut transaction = self.begin().await?;
        for record in batch {
            incoming.take(&mut transaction, record).await?;
        }
        let mut handlers = BTreeMap::new();
        for standing in incoming.handlers.changed(incoming.head) {
            standing.save(&mut transaction).await?;
            let handler = load::handler(&mut transaction, standing.id).await?;
            handlers.insert(standing.id, handler);
        }
        let size = load::size(&mut transaction).await?;
        transaction.commit().await?;
        let mut state = shared.state();
        incoming.apply(&mut state, handlers);
        state.size = size;
        Ok(())
    }
}

impl Incoming {
    fn into(state: &State, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            types: (*state.types).clone(),
            new_types: Vec::new(),
            handlers: Standings::of(state)?,
            head: state.head,
            accepted: state.accepted,
            messages: 0,
            delayed: 0,
            earliest: None,
            now,
        })
    }

    async fn take(
        &mut self,
        connection: &mut SqliteConnection,
        record: &Record,
    ) -> Result<(), StoreError> {
        match record {
            Record::Handler(handler) => self.handler(connection, handler).await,
            Record::Message(message) => self.message(connection, message).await,
            Record::DeadLetter(letter) => self.letter(connection, letter).await,
            Record::Key(key) => self.key(connection, key).await,
            Record::Schedule { name, at } => {
                query("INSERT OR IGNORE INTO schedule (name, at) VALUES (?, ?)")
                    .bind(name)
                    .bind(at.as_millis())
                    .execute(connection)
                    .await?;
                Ok(())
            }
        }
    }

    /// Makes it known: to be called after the commit only.
    fn apply(self, state: &mut State, handlers: BTreeMap<i64, Handler>) {
        for (id, name) in self.new_types {
            Arc::make_mut(&mut state.types).add(id, name);
        }
        state.handlers.extend(handlers);
        state.head = self.head;
        state.accepted = self.accepted;
        state.messages += self.messages;
        state.delayed += self.delayed;
        state.next_delayed = state.next_delayed.into_iter().chain(self.earliest).min();
    }

    async fn handler(
        &mut self,
        connection: &mut SqliteConnection,
        handler: &HandlerRecord,
    ) -> Result<(), StoreError> {
        if self.handlers.named(&handler.id).is_some() {
            return Ok(());
        }
        let mut types = Vec::with_capacity(handler.types.len());
        for ty in &handler.types {
            types.push(self.type_id(connection, ty).await?);
        }
        self.create(connection, handler, &types).await?;
        Ok(())
    }

    /// A handler that stands at the end of the log.
    async fn create(
        &mut self,
        connection: &mut SqliteConnection,
        handler: &HandlerRecord,
        types: &[i64],
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO handler (name, upto, done, seen, paused) VALUES (?, ?, x'', ?, ?) RETURNING id";
        let id: i64 = query_scalar(sql)
            .bind(&handler.id)
            .bind(self.head.cast_signed())
            .bind(self.now.as_millis())
            .bind(handler.paused)
            .fetch_one(&mut *connection)
            .await?;
        for ty in types {
            query("INSERT OR IGNORE INTO binding (handler, type, since) VALUES (?, ?, ?)")
                .bind(id)
                .bind(ty)
                .bind(self.head.cast_signed())
                .execute(&mut *connection)
                .await?;
        }
        let standing = Standing::new(id, self.head, types);
        self.handlers.add(handler.id.clone(), standing);
        Ok(id)
    }

    /// The number of a handler; one that was not among the records gets no types.
    async fn handler_id(
        &mut self,
        connection: &mut SqliteConnection,
        name: &str,
    ) -> Result<i64, StoreError> {
        if let Some(standing) = self.handlers.named(name) {
            standing.changed = true;
            return Ok(standing.id);
        }
        let unbound = HandlerRecord {
            id: name.to_owned(),
            types: Vec::new(),
            paused: false,
        };
        self.create(connection, &unbound, &[]).await
    }

    async fn type_id(
        &mut self,
        connection: &mut SqliteConnection,
        name: &MessageType,
    ) -> Result<i64, StoreError> {
        if let Some(id) = self.types.id(name) {
            return Ok(id);
        }
        let id = self.types.next_id();
        add_type(connection, id, name).await?;
        self.types.add(id, name.clone());
        self.new_types.push((id, name.clone()));
        Ok(id)
    }

    async fn message(
        &mut self,
        connection: &mut SqliteConnection,
        waiting: &WaitingMessage,
    ) -> Result<(), StoreError> {
        let message = &waiting.message;
        if is_there(connection, message.id).await? {
            return Ok(());
        }
        let ty = self.type_id(connection, &message.ty).await?;
        self.accepted = self.accepted.max(waiting.accepted);
        if let (Some(due), true) = (waiting.deliver_at, waiting.deliveries.is_empty()) {
            self.head += 1;
            let row = self.row((self.head, self.accepted), ty, message);
            let head = format!("INSERT INTO delayed ({MESSAGE}, due)");
            let statement = (head.as_str(), MESSAGE_COLUMNS + 1, "");
            rows::insert(connection, statement, &[row], |arguments, row| {
                rows::bind_message(arguments, row)?;
                arguments.add(due.as_millis())
            })
            .await?;
            self.delayed += 1;
            self.earliest = self.earliest.into_iter().chain([due]).min();
            return Ok(());
        }
        let position = self.position(connection, message.id).await?;
        let accepted = self.accepted_at(connection, position).await?;
        let row = self.row((position, accepted), ty, message);
        let head = format!("INSERT INTO message ({MESSAGE})");
        let statement = (head.as_str(), MESSAGE_COLUMNS, "");
        rows::insert(connection, statement, &[row], rows::bind_message).await?;
        self.messages += 1;
        self.handlers.pass(ty, position);
        for delivery in &waiting.deliveries {
            self.delivery(connection, position, message, delivery)
                .await?;
        }
        Ok(())
    }

    fn row<'a>(
        &self,
        (position, accepted): (u64, Timestamp),
        ty: i64,
        envelope: &'a Envelope,
    ) -> NewRow<'a> {
        NewRow {
            position,
            ty,
            accepted,
            envelope,
        }
    }

    /// When what gets this position counts as accepted: not after what has a later one.
    async fn accepted_at(
        &self,
        connection: &mut SqliteConnection,
        position: u64,
    ) -> Result<Timestamp, StoreError> {
        if position == self.head {
            return Ok(self.accepted);
        }
        let next: Option<i64> = query_scalar(
            "SELECT min(accepted) FROM (
                 SELECT * FROM (SELECT accepted FROM message WHERE seq > ?1 ORDER BY seq LIMIT 1) UNION ALL
                 SELECT * FROM (SELECT accepted FROM delayed WHERE seq > ?1 ORDER BY seq LIMIT 1) UNION ALL
                 SELECT * FROM (SELECT accepted FROM dead WHERE seq > ?1 ORDER BY seq LIMIT 1))",
        )
        .bind(position.cast_signed())
        .fetch_one(connection)
        .await?;
        Ok(next
            .map_or(self.accepted, Timestamp::from_millis)
            .min(self.accepted))
    }

    /// Where dead letters of this message are, or a position of its own.
    async fn position(
        &mut self,
        connection: &mut SqliteConnection,
        id: MessageId,
    ) -> Result<u64, StoreError> {
        let buried: Option<i64> = query_scalar("SELECT seq FROM dead WHERE id = ? LIMIT 1")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(connection)
            .await?;
        Ok(match buried {
            Some(seq) => seq.cast_unsigned(),
            None => {
                self.head += 1;
                self.head
            }
        })
    }

    /// One exception row, with what became of the delivery so far.
    async fn delivery(
        &mut self,
        connection: &mut SqliteConnection,
        position: u64,
        message: &Envelope,
        delivery: &WaitingDelivery,
    ) -> Result<(), StoreError> {
        let handler = self.handler_id(connection, &delivery.handler).await?;
        let held = delivery.parked.as_ref().and_then(|_| Key::of(message));
        if held.is_some() {
            // Whether it keeps order is known when it is opened; until then this one holds its key.
            query("UPDATE handler SET ordered = 1 WHERE id = ?")
                .bind(handler)
                .execute(&mut *connection)
                .await?;
        }
        let row = Waiting {
            handler,
            position,
            attempt: delivery.attempt,
            crashes: delivery.crashes,
            replay: delivery.replay,
            due: delivery.due.unwrap_or_default(),
            waits: if held.is_some() {
                For::Operator
            } else {
                For::Due
            },
            key: held,
        };
        waiting::save_waiting(connection, &[row]).await?;
        if delivery.replay > 0 {
            query("INSERT OR REPLACE INTO replay (seq, handler, number) VALUES (?, ?, ?)")
                .bind(position.cast_signed())
                .bind(handler)
                .bind(delivery.replay)
                .execute(&mut *connection)
                .await?;
        }
        save_attempts(connection, (handler, position), &delivery.attempts).await
    }

    async fn key(
        &self,
        connection: &mut SqliteConnection,
        key: &KeyRecord,
    ) -> Result<(), StoreError> {
        if digest::read(&key.scope).is_none() || digest::read(&key.digest).is_none() {
            return Err(StoreError::Damaged("a digest is not 16 bytes"));
        }
        query("INSERT OR IGNORE INTO dedup (scope, id, digest, at) VALUES (?, ?, ?, ?)")
            .bind(&key.scope)
            .bind(key.id.as_bytes().as_slice())
            .bind(&key.digest)
            .bind(key.at.as_millis())
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Is this message in the log, or waiting for its time?
async fn is_there(connection: &mut SqliteConnection, id: MessageId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE id = ?1) OR EXISTS (SELECT 1 FROM delayed WHERE id = ?1)";
    let there = query_scalar(sql)
        .bind(id.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    Ok(there)
}

async fn save_attempts(
    connection: &mut SqliteConnection,
    (handler, position): (i64, u64),
    attempts: &[AttemptRecord],
) -> Result<(), StoreError> {
    let statement = (
        "INSERT OR IGNORE INTO attempt (seq, handler, replay, attempt, at, failure)",
        6,
        "",
    );
    rows::insert(connection, statement, attempts, |arguments, attempt| {
        arguments.add(position.cast_signed())?;
        arguments.add(handler)?;
        arguments.add(attempt.replay)?;
        arguments.add(attempt.attempt)?;
        arguments.add(attempt.failure.started.as_millis())?;
        arguments.add(failure_text(&attempt.failure))
    })
    .await?;
    Ok(())
}
