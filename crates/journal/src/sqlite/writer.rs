//! The one task that writes: it drains its queue without waiting and commits what it found as one group.

mod arranging;
mod choosing;
mod controlling;
mod delaying;
mod discarding;
mod electing;
mod group;
mod importing;
mod leaving;
mod messages;
mod opening;
mod passing;
mod replaying;
mod retention;
mod settling;
mod shedding;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction, query};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use self::delaying::something_due;
use self::group::{Admitted, Answers, Group};
use self::opening::Opened;
use self::shedding::Dropping;
use super::checkpoint::Log;
use super::error::StoreError;
use super::load;
use super::lock::DirLock;
use super::schema;
use super::state::Shared;
use crate::{
    Absence, Control, Discard, HandlerSpec, NewMessage, Record, Replay, Replayed, Settle,
    SettleOutcome, Tick,
};

pub(super) use self::retention::Step;

/// Most operations in one commit.
const GROUP: usize = 2048;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer can be asked for.
pub(super) enum Op {
    Publish(Vec<NewMessage>, Reply<Admitted>),
    Settle(Vec<Settle>, Reply<Vec<SettleOutcome>>),
    Open(HandlerSpec, Reply<Opened>),
    Leave(String, Absence, Reply<()>),
    Replay(Vec<Replay>, Reply<Vec<Replayed>>),
    Discard(Vec<Discard>, Reply<Vec<u64>>),
    Control(String, Control, Reply<Option<u64>>),
    Import(Vec<Record>, Reply<()>),
    Lead(String, String, Duration, Reply<Option<u64>>),
    Resign(String, String, Reply<()>),
    Tick(Box<Tick>, Reply<bool>),
    /// One step of retention; answers whether there is more to do.
    Maintain(Step, Reply<bool>),
    Probe(Reply<()>),
    Close(oneshot::Sender<()>),
}

/// Owns the connection that writes, and the lock on the directory for as long as it can write.
pub(super) struct Writer {
    shared: Arc<Shared>,
    options: SqliteConnectOptions,
    /// `None` after a failure: the next operation opens a new one, which is how the engine recovers.
    connection: Option<SqliteConnection>,
    log: Arc<Log>,
    commits: u64,
    /// Of the last group, if they are not sent yet.
    answers: Answers,
    /// Which payloads were dropped, if they are not kept.
    payloads: Dropping,
    /// The last write failed, and none has succeeded since.
    failing: bool,
    _lock: DirLock,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        log: Arc<Log>,
        lock: DirLock,
    ) -> Self {
        Self {
            shared,
            options,
            connection: Some(connection),
            log,
            commits: 0,
            answers: Answers::default(),
            payloads: Dropping::default(),
            failing: false,
            _lock: lock,
        }
    }

    /// Runs on a thread of its own: each of the few statements of a commit is waited for, and on a shared runtime the
    /// writer would get its turn behind everything that has something to do there.
    pub(super) fn start(self, queue: mpsc::Receiver<Op>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let write = move || runtime.block_on(self.run(queue));
        thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(write)?;
        Ok(())
    }

    /// Runs until [`Op::Close`], or until the journal is dropped.
    async fn run(mut self, mut queue: mpsc::Receiver<Op>) {
        let mut ops = Vec::with_capacity(GROUP);
        loop {
            let mut group = Group::default();
            self.deliver_due().await;
            tokio::select! {
                biased;
                received = queue.recv_many(&mut ops, GROUP) => if received == 0 { break },
                () = self.shared.crowded.notified() => group.crowded = true,
                () = something_due(&self.shared, self.failing) => {}
            }
            let mut rare = Vec::new();
            for op in ops.drain(..) {
                match op {
                    Op::Publish(batch, reply) => group.publishes.push((batch, reply)),
                    Op::Settle(batch, reply) => group.settles.push((batch, reply)),
                    other => rare.push(other),
                }
            }
            self.commit_group(group).await;
            if queue.is_empty() || !rare.is_empty() {
                self.answers.send();
            }
            for op in rare {
                if let Op::Close(reply) = op {
                    // What is still queued is dropped, and its callers see that the journal is closed.
                    drop(queue);
                    self.close().await;
                    // Lets go of the directory before anybody is told that it is free.
                    drop(self);
                    let _ = reply.send(());
                    return;
                }
                self.one(op).await;
            }
        }
        self.close().await;
    }

    /// Does one of the operations that have a transaction of their own.
    async fn one(&mut self, op: Op) {
        // A caller that went away does not want its answer.
        match op {
            Op::Open(spec, reply) => drop(reply.send(self.open(spec).await)),
            Op::Leave(handler, absence, reply) => {
                drop(reply.send(self.leave(&handler, absence).await));
            }
            Op::Replay(batch, reply) => drop(reply.send(self.replay(&batch).await)),
            Op::Discard(batch, reply) => drop(reply.send(self.discard(&batch).await)),
            Op::Control(handler, control, reply) => {
                drop(reply.send(self.control(&handler, control).await));
            }
            Op::Import(batch, reply) => drop(reply.send(self.import(&batch).await)),
            Op::Lead(role, holder, ttl, reply) => {
                drop(reply.send(self.lead(&role, &holder, ttl).await));
            }
            Op::Resign(role, holder, reply) => {
                drop(reply.send(self.resign(&role, &holder).await));
            }
            Op::Tick(tick, reply) => drop(reply.send(self.tick(&tick).await)),
            Op::Maintain(step, reply) => drop(reply.send(self.maintain(step).await)),
            Op::Probe(reply) => drop(reply.send(self.probe().await)),
            Op::Publish(..) | Op::Settle(..) | Op::Close(_) => {}
        }
    }

    /// Begins a transaction, on a new connection if the last write failed.
    async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let connection = self.connection.insert(connection);
        self.log.prepare(connection).await;
        Ok(connection.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Gives the connection up after a failure. Dropping it rolls back what it had begun.
    fn checked<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Database(_)) = &outcome {
            warn!(error = %error, "the journal failed to write, nothing of it was stored");
            self.connection = None;
            self.failing = true;
        }
        outcome
    }

    /// Proves that a write would be accepted. While writes fail only a write proves it, for a full disk refuses a
    /// transaction at its end; and without one nobody would see that there is room again.
    async fn probe(&mut self) -> Result<(), StoreError> {
        let failing = self.failing;
        let outcome = async {
            let mut transaction = self.begin().await?;
            if !failing {
                return Ok(transaction.rollback().await?);
            }
            schema::write_version(&mut transaction).await?;
            transaction.commit().await?;
            self.failing = false;
            Ok(())
        };
        let outcome = outcome.await;
        self.checked(outcome)
    }

    /// Writes down what is known about cursors, then lets go of file and directory.
    async fn close(&mut self) {
        let outcome = self.save_cursors().await;
        if let Err(error) = self.checked(outcome) {
            // No loss: a cursor that is too low only looks at settled messages again, and `done` tells them apart.
            warn!(error = %error, "the journal was closed without writing its cursors");
        }
        self.shared.state().close();
        // What runs yet does not die with this process: it is not waited for.
        self.shared
            .running
            .close(|| self.shared.state().suspected());
        self.shared.readers.close().await;
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    /// Persists what cursors moved over in memory, and that open handlers are in the wiring.
    async fn save_cursors(&mut self) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let cursors: Vec<_> = {
            let mut state = self.shared.state();
            for handler in state.handlers.values_mut().filter(|handler| handler.open) {
                handler.seen = now;
            }
            let settled = BTreeSet::new();
            let place = |handler| super::state::State::read_by(&state, handler);
            state
                .handlers
                .iter()
                .map(|(id, handler)| {
                    (
                        *id,
                        handler.seen,
                        handler.cursor.after(&settled, place(handler)),
                    )
                })
                .collect()
        };
        let mut transaction = self.begin().await?;
        for (id, seen, (upto, done)) in &cursors {
            load::save_cursor(&mut transaction, *id, *upto, done).await?;
            query("UPDATE handler SET seen = ? WHERE id = ?")
                .bind(seen.as_millis())
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
