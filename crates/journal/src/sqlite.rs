//! The embedded engine: one SQLite file.
//!
//! A log of messages, one cursor per handler, and rows for what failed. One task writes, in groups; what is known in
//! memory changes only after a commit. A commit hands its messages to their handlers as they are; one that falls behind
//! pages the log by its cursor until it has caught up. Of one ordering key an ordered handler is given one at a time.

mod browse;
mod burial;
mod checkpoint;
mod cursor;
mod deliveries;
mod error;
mod exporting;
mod hand;
mod load;
mod lock;
mod moment;
mod order;
mod paging;
mod reading;
mod rows;
mod running;
mod schema;
mod state;
mod stats;
mod suspects;
mod window;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use self::checkpoint::Log;
use self::deliveries::SqliteDeliveries;
pub use self::error::OpenError;
use self::error::StoreError;
use self::lock::{DirLock, LockError};
use self::running::Running;
use self::state::Shared;
use self::writer::{Op, Reply, Step, Writer};
use crate::{
    Absence, Clock, Control, DeadLetter, DeadLetterQuery, Deliveries, Discard, Durability,
    HandlerSpec, Journal, JournalError, Limits, MessageDetail, MessageQuery, MessageRecord,
    NewMessage, Page, PublishError, Receipt, Record, Replay, Replayed, Settle, SettleOutcome,
    Stats, Tick,
};

/// Name of the database file in the data directory.
const FILE: &str = "journal.db";
/// Operations that may wait for the writer; more wait for a place.
const QUEUE: usize = 8192;
/// What a refused publisher is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How to open the journal.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The data directory. It must exist; one process at a time uses it.
    pub dir: PathBuf,
    /// Synced at every commit, or left to the operating system.
    pub durability: Durability,
    /// What is kept, and how much.
    pub limits: Limits,
    /// The time. [`crate::SystemClock`] outside tests.
    pub clock: Arc<dyn Clock>,
}

/// The journal in one SQLite file. See [`Journal`].
#[derive(Debug)]
pub struct SqliteJournal {
    shared: Arc<Shared>,
    ops: mpsc::Sender<Op>,
    checkpointer: AbortHandle,
}

impl SqliteJournal {
    /// Locks the directory, creates or updates the database, and starts the thread that writes.
    ///
    /// To be called on a tokio runtime that runs for as long as the journal is open.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: locked by another process, not usable, or written by a later version.
    pub async fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions {
            dir,
            durability,
            limits,
            clock,
        } = options;
        let lock = take_lock(&dir)?;
        let (running, left) = Running::open(&dir).map_err(|source| OpenError::Running {
            file: dir.join(running::FILE),
            source,
        })?;
        let file = dir.join(FILE);
        let failed = |error| OpenError::database(&file, error);
        let writing = schema::writing(&file, durability);
        let mut connection = SqliteConnection::connect_with(&writing)
            .await
            .map_err(|error| failed(StoreError::from(error)))?;
        schema::migrate(&mut connection)
            .await
            .map_err(|error| OpenError::schema(&file, error))?;
        let mut state = load::state(&mut connection).await.map_err(failed)?;
        let suspects = suspects::after(&mut connection, &mut state, left);
        state.suspects = suspects.await.map_err(failed)?;
        running.begin(|| state.suspected());
        let readers = schema::readers(&file)
            .await
            .map_err(|error| failed(error.into()))?;
        let shared = Shared::new(clock, limits, durability, readers, running, state);
        let shared = Arc::new(shared);
        let log = Arc::new(Log::new());
        let (ops, queue) = mpsc::channel(QUEUE);
        let checkpoint = checkpoint::run(writing.clone(), log.clone());
        let writer = Writer::new(shared.clone(), writing, connection, log, lock);
        writer.start(queue).map_err(OpenError::Thread)?;
        let checkpointer = tokio::spawn(checkpoint).abort_handle();
        Ok(Self {
            shared,
            ops,
            checkpointer,
        })
    }

    /// Asks the writer, and waits for its answer.
    async fn ask<T>(&self, op: impl FnOnce(Reply<T>) -> Op) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ops
            .send(op(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn take_lock(dir: &Path) -> Result<DirLock, OpenError> {
    DirLock::take(dir).map_err(|error| match error {
        LockError::Held(pid) => OpenError::Locked {
            pid: pid.unwrap_or(0),
            dir: dir.to_owned(),
        },
        LockError::Io(source) => OpenError::Directory {
            dir: dir.to_owned(),
            source,
        },
    })
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        // The writer ends by itself: its queue has no sender any more.
        self.checkpointer.abort();
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn publish(&self, batch: Vec<NewMessage>) -> Result<Vec<Receipt>, PublishError> {
        match self.ask(|reply| Op::Publish(batch, reply)).await {
            Ok(Ok(receipts)) => Ok(receipts),
            Ok(Err(full)) => Err(PublishError::Full {
                what: full.0,
                retry_after: RETRY_AFTER,
            }),
            Err(error) => Err(PublishError::Unavailable {
                retry_after: RETRY_AFTER,
                source: error.during("store messages"),
            }),
        }
    }

    async fn open(&self, handler: HandlerSpec) -> Result<Box<dyn Deliveries>, JournalError> {
        let failed = |error: StoreError| error.during("open a handler");
        let opened = self
            .ask(|reply| Op::Open(handler, reply))
            .await
            .map_err(failed)?;
        let stream = SqliteDeliveries::new(self.shared.clone(), opened.id, opened.generation);
        Ok(Box::new(stream.ok_or_else(|| failed(StoreError::Closed))?))
    }

    async fn leave(&self, handler: &str, absence: Absence) -> Result<(), JournalError> {
        let handler = handler.to_owned();
        self.ask(|reply| Op::Leave(handler, absence, reply))
            .await
            .map_err(|error| error.during("close a handler"))
    }

    async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<SettleOutcome>, JournalError> {
        self.ask(|reply| Op::Settle(batch, reply))
            .await
            .map_err(|error| error.during("settle deliveries"))
    }

    async fn replay(&self, batch: Vec<Replay>) -> Result<Vec<Replayed>, JournalError> {
        self.ask(|reply| Op::Replay(batch, reply))
            .await
            .map_err(|error| error.during("schedule replays"))
    }

    async fn discard(&self, batch: Vec<Discard>) -> Result<Vec<u64>, JournalError> {
        self.ask(|reply| Op::Discard(batch, reply))
            .await
            .map_err(|error| error.during("discard deliveries"))
    }

    async fn control(&self, handler: &str, control: Control) -> Result<Option<u64>, JournalError> {
        let handler = handler.to_owned();
        self.ask(|reply| Op::Control(handler, control, reply))
            .await
            .map_err(|error| error.during("control a handler"))
    }

    async fn lead(
        &self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, JournalError> {
        let (role, holder) = (role.to_owned(), holder.to_owned());
        self.ask(|reply| Op::Lead(role, holder, ttl, reply))
            .await
            .map_err(|error| error.during("take a role"))
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), JournalError> {
        let (role, holder) = (role.to_owned(), holder.to_owned());
        self.ask(|reply| Op::Resign(role, holder, reply))
            .await
            .map_err(|error| error.during("give a role up"))
    }

    async fn last_tick(&self, schedule: &str) -> Result<Option<Timestamp>, JournalError> {
        load::last_tick(&self.shared.readers, schedule)
            .await
            .map_err(|error| error.during("read a schedule"))
    }

    async fn tick(&self, tick: Tick) -> Result<bool, JournalError> {
        self.ask(|reply| Op::Tick(Box::new(tick), reply))
            .await
            .map_err(|error| error.during("let a schedule tick"))
    }

    async fn export(&self, cursor: Option<String>) -> Result<Page<Record>, JournalError> {
        exporting::export(&self.shared, cursor)
            .await
            .map_err(|error| error.during("export records"))
    }

    async fn import(&self, batch: Vec<Record>) -> Result<(), JournalError> {
        self.ask(|reply| Op::Import(batch, reply))
            .await
            .map_err(|error| error.during("import records"))
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<MessageRecord>, JournalError> {
        browse::messages(&self.shared, query)
            .await
            .map_err(|error| error.during("list messages"))
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, JournalError> {
        browse::detail(&self.shared, id)
            .await
            .map_err(|error| error.during("read a message"))
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter>, JournalError> {
        browse::dead_letters(&self.shared, query)
            .await
            .map_err(|error| error.during("list dead letters"))
    }

    async fn stats(&self) -> Result<Stats, JournalError> {
        stats::stats(&self.shared)
            .await
            .map_err(|error| error.during("count"))
    }

    async fn maintain(&self) -> Result<(), JournalError> {
        for step in Step::ALL {
            let more = || self.ask(|reply| Op::Maintain(step, reply));
            while more()
                .await
                .map_err(|error| error.during("apply the retention"))?
            {}
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), JournalError> {
        self.ask(Op::Probe)
            .await
            .map_err(|error| error.during("write"))
    }

    async fn close(&self) {
        let (reply, done) = oneshot::channel();
        self.checkpointer.abort();
        if self.ops.send(Op::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
