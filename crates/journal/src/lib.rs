//! Durable messages and their deliveries: accept, hand out, settle, replay, browse.
//!
//! In: batches of new messages and of settled deliveries. Out: receipts, deliveries, pages of records.
//! Not here: when to retry, how many at once, what a handler is (see `dispatch`); schemas (see `wiring`).
//! Engines: [`sqlite`], in the process; [`redis`], for many nodes. All promise what [`Journal`] says, and the same conformance suite holds them to it.
#![forbid(unsafe_code)]

mod browse;
mod clock;
mod control;
mod delivery;
mod digest;
mod publish;
pub mod redis;
mod schedule;
mod selection;
pub mod sqlite;
mod transfer;

use std::time::Duration;

use async_trait::async_trait;
use coordinator_message::{MessageId, Timestamp};

pub use browse::{
    AttemptRecord, DeadLetter, DeadLetterQuery, DeliveryRecord, DeliveryState, HandlerStats,
    MessageDetail, MessageQuery, MessageRecord, MessageState, Page, Stats, UnknownCursor,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use control::{Absence, Control, Discard, Replay, Replayed};
pub use delivery::{
    Delivery, Failure, FailureKind, HandlerSpec, Settle, SettleOutcome, StartFrom, Token, Verdict,
};
pub use publish::{Durability, NewMessage, PublishError, Receipt, ReceiptStatus};
pub use schedule::Tick;
pub use selection::{
    Broken, Chosen, DeadLetterFilter, MOST_DELIVERIES, MOST_NAMED, MessageFilter, Outcome, Pace,
    Plan, Selection, SelectionError,
};
pub use transfer::{HandlerRecord, KeyRecord, Record, WaitingDelivery, WaitingMessage};

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
    /// With [`HandlerSpec::order`], of the messages with one ordering key in one lane the handler is given one at a
    /// time, in log order, and none before the earlier ones are settled: acked, dead or discarded. Other keys, and
    /// messages without a key, flow on. A replay of a settled message neither waits for its key nor holds it.
    ///
    /// # Errors
    ///
    /// If the engine cannot read or write its state.
    async fn open(&self, handler: HandlerSpec) -> Result<Box<dyn Deliveries>, JournalError>;

    /// Ends the stream of a handler that is not served here any more, and says why. What it was handed out and has not
    /// settled waits again, as the same attempt. A handler that nobody here has open may be named too; one that is not
    /// known is left alone. Opening it again goes on where it was.
    ///
    /// # Errors
    ///
    /// If the write failed; the call may be repeated.
    async fn leave(&self, handler: &str, absence: Absence) -> Result<(), JournalError>;

    /// Settles deliveries; the outcomes are in the order of the batch. An ack and what the handler emitted are
    /// one write. Returns when durable. On an error nothing of the batch is settled and it may be sent again.
    ///
    /// # Errors
    ///
    /// If the write failed; the deliveries stay as they were.
    async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<SettleOutcome>, JournalError>;

    /// Delivers messages again. Earlier attempts stay on record; a dead letter of that delivery is taken off the list,
    /// and a parked one tried again, in the same write. The batch is one write; the answers are in its order.
    ///
    /// # Errors
    ///
    /// If the write failed; nothing of the batch is scheduled then.
    async fn replay(&self, batch: Vec<Replay>) -> Result<Vec<Replayed>, JournalError>;

    /// Settles what is not handed out without running it: waiting, retrying, parked, dead, and messages whose time has
    /// not come. Answers, in the order of the batch, how many deliveries that were; a delayed message counts as one.
    /// What an operator discards behind a parked delivery stays discarded; discarding the parked one frees its key.
    ///
    /// # Errors
    ///
    /// If the write failed; nothing of the batch is discarded then.
    async fn discard(&self, batch: Vec<Discard>) -> Result<Vec<u64>, JournalError>;

    /// Pauses, resumes or skips a handler; answers how many deliveries were skipped, `None` if it is not known.
    /// Survives a restart.
    ///
    /// # Errors
    ///
    /// If the write failed.
    async fn control(&self, handler: &str, control: Control) -> Result<Option<u64>, JournalError>;

    /// Takes or keeps a role that one node has at a time: for `ttl` from now, unless it is renewed. Answers a number
    /// that grows whenever the role changes hands; `None` while another holder has it.
    ///
    /// # Errors
    ///
    /// If the write failed.
    async fn lead(
        &self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, JournalError>;

    /// Gives a role up; nothing happens if the holder does not have it.
    ///
    /// # Errors
    ///
    /// If the write failed.
    async fn resign(&self, role: &str, holder: &str) -> Result<(), JournalError>;

    /// When a schedule last ticked.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read.
    async fn last_tick(&self, schedule: &str) -> Result<Option<Timestamp>, JournalError>;

    /// Publishes what a schedule publishes and remembers the tick, in one write. False, and nothing is written, if the
    /// schedule has ticked at that time or later: no node can make a tick twice. A tick passes a full backlog.
    ///
    /// # Errors
    ///
    /// If the write failed; the tick did not happen then.
    async fn tick(&self, tick: Tick) -> Result<bool, JournalError>;

    /// One page of messages, newest first unless the query says otherwise. Delayed ones are listed by when they were
    /// accepted, too.
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

    /// One page of everything that another engine needs to go on from here. The journal must be idle: no handler open.
    ///
    /// # Errors
    ///
    /// If the engine cannot be read, or the cursor is not one that it gave.
    async fn export(&self, cursor: Option<String>) -> Result<Page<Record>, JournalError>;

    /// Takes records of another engine in. What it has already is left as it is, so a broken transfer may be repeated.
    ///
    /// # Errors
    ///
    /// If the write failed; records of the same batch may or may not be in.
    async fn import(&self, batch: Vec<Record>) -> Result<(), JournalError>;

    /// Drops what is older than the retention, the oldest settled messages beyond `retention_size`, and payloads that
    /// are not kept; forgets expired idempotency keys, turns expired unhandled
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

/// How long the journal keeps things, and how much.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Settled messages, idempotency keys and dead letters are kept this long.
    pub retention: Duration,
    /// Settled messages beyond this many bytes of stored data are dropped before their age says so, oldest first.
    pub retention_size: u64,
    /// Is a payload kept once every handler has settled its message?
    pub payloads: Payloads,
    /// Publish is refused while the stored data is larger, in bytes.
    pub max_size: u64,
    /// Publish is refused while more messages than this wait for some handler.
    pub max_backlog: u64,
}

impl Default for Limits {
    /// What a host has that is not told otherwise.
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * 24 * 3600),
            retention_size: 3 << 30,
            payloads: Payloads::Retained,
            max_size: 4 << 30,
            max_backlog: 1_000_000,
        }
    }
}

/// What becomes of the payload of a settled message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payloads {
    /// Kept for the retention: it can be shown and replayed.
    #[default]
    Retained,
    /// Dropped within a minute; what it was about can still be listed. Dead letters keep theirs.
    UntilSettled,
}
