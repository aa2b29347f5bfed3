//! Durable messages and their deliveries: accept, hand out, settle, replay, browse.
//!
//! In: batches of new messages and of settled deliveries. Out: receipts, deliveries, pages of records.
//! Not here: when to retry, how many at once, what a handler is (see `dispatch`); schemas (see `wiring`).
//! Engines: [`sqlite`]. All promise what [`Journal`] says, and the same conformance suite holds them to it.
#![forbid(unsafe_code)]

mod browse;
mod clock;
mod delivery;
mod publish;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use coordinator_message::MessageId;

pub use browse::{
    AttemptRecord, DeadLetter, DeadLetterQuery, DeliveryRecord, DeliveryState, HandlerStats,
    MessageDetail, MessageQuery, MessageRecord, MessageState, Page, Stats, UnknownCursor,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use delivery::{
    Delivery, Failure, FailureKind, HandlerSpec, Settle, SettleOutcome, StartFrom, Token, Verdict,
};
pub use publish::{Durability, NewMessage, PublishError, Receipt, ReceiptStatus};

/// What every engine promises. All methods may be called at once from many tasks.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Accepts a batch, all or nothing. Returns when it is as durable as [`Receipt::durability`] says.
    ///
    /// A message whose (publisher, type, idempotency key) was seen within the window is not stored again: its
    /// receipt names the first one, as `Duplicate`, or as `Conflict` when the payload differs.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing of the batch is stored then.
    async fn publish(&self, batch: Vec<NewMessage>) -> Result<Vec<Receipt>, PublishError>;

    /// Opens a handler: creates its cursor if it is new, and returns the stream of its deliveries.
    /// A handler is open at most once at a time in one process.
    ///
    /// # Errors
    ///
    /// If the engine cannot read or write its state.
    async fn open(&self, handler: HandlerSpec) -> Result<Box<dyn Deliveries>, JournalError>;

    /// Settles deliveries; the outcomes are in the order of the batch. An ack and what the handler emitted are
    /// one write. Returns when durable. On an error nothing of the batch is settled and it may be sent again.
    ///
    /// # Errors
    ///
    /// If the write failed; the deliveries stay as they were.
    async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<SettleOutcome>, JournalError>;

    /// Delivers one message again to one handler, or to every handler that is bound to its type (`None`).
    /// Earlier attempts stay on record; a dead letter of that delivery is taken off the list in the same write.
    /// Returns the number of deliveries that were scheduled.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotFound`] if the message, or that handler for it, is not known.
    async fn replay(&self, message: MessageId, handler: Option<&str>) -> Result<u64, ReplayError>;

    /// One page of messages, newest first.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read, or the cursor is not one that it gave.
    async fn messages(&self, query: MessageQuery) -> Result<Page<MessageRecord>, JournalError>;

    /// One message with its deliveries and their attempts; `None` if it is not there (any more).
    ///
    /// # Errors
    ///
    /// If the engine cannot be read.
    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, JournalError>;

    /// One page of dead letters, newest first.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read, or the cursor is not one that it gave.
    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter>, JournalError>;

    /// Counts, sizes and lags.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read.
    async fn stats(&self) -> Result<Stats, JournalError>;

    /// Drops what is older than the retention, forgets expired idempotency keys, turns expired unhandled
    /// messages into dead letters. Works in small steps; called about once a minute.
    ///
    /// # Errors
    ///
    /// If a step failed; the steps before it stay done.
    async fn maintain(&self) -> Result<(), JournalError>;

    /// Can a message be accepted now? Used by readiness checks.
    ///
    /// # Errors
    ///
    /// With the reason, if not.
    async fn probe(&self) -> Result<(), JournalError>;

    /// Writes out what is lazily persisted and releases the data directory. Later calls fail.
    async fn close(&self);
}

/// The deliveries of one handler, in log order; due retries and replays come between.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits until there is at least one delivery and returns up to `max` of them. Each stays handed out until
    /// it is settled or the process ends. Dropping the wait loses none. Empty only once the journal is closed.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read; the call may be repeated.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, JournalError>;
}

/// An engine failed at something.
#[derive(Debug, thiserror::Error)]
#[error("journal failed to {action}")]
pub struct JournalError {
    /// What it was doing, completing "failed to …".
    pub action: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A replay was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The message, or that handler for it, is not known.
    #[error("message `{0}` is not in the journal, or the handler is not bound to its type")]
    NotFound(MessageId),
    /// The engine failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How long the journal keeps things, and how much.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Settled messages, idempotency keys and dead letters are kept this long.
    pub retention: Duration,
    /// Publish is refused while the stored data is larger, in bytes.
    pub max_size: u64,
    /// Publish is refused while more messages than this wait for some handler.
    pub max_backlog: u64,
}
