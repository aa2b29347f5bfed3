//! What operators look at: messages, dead letters, handlers and counts.

use std::sync::Arc;
use std::time::Duration;

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Durability, Failure};

/// One page of a list and how to get the next.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Opaque; give it back to get the next page. `None` on the last.
    pub next: Option<String>,
}

/// The source of a [`crate::JournalError`] that is its caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this journal gave")]
pub struct UnknownCursor;

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageQuery {
    /// Of this type.
    pub ty: Option<MessageType>,
    /// In this state.
    pub state: Option<MessageState>,
    /// Bound to this handler (`instance.handler`). With `state`: in that state for this handler.
    pub handler: Option<String>,
    /// With this ordering key.
    pub key: Option<String>,
    /// Of this correlation.
    pub correlation: Option<MessageId>,
    /// From this CloudEvents source.
    pub source: Option<String>,
    /// With this text somewhere in the payload.
    pub text: Option<String>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// In the order they were accepted, oldest first; newest first otherwise. Oldest first, every page says where to go
    /// on, the last one too: that is how new messages are followed.
    pub oldest_first: bool,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most this many; engines clamp it to 1..=500.
    pub limit: usize,
}

/// State of a message over all handlers: the worst of its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// Accepted, and not to be delivered before a time that has not come.
    Delayed,
    /// No handler is bound to its type.
    Unhandled,
    /// Every handler acked it.
    Acked,
    /// Some handler has yet to take it, or is at it.
    Pending,
    /// Some handler failed and will try again.
    Retrying,
    /// For some handler it waits behind an earlier message of its ordering key, or was given up and holds that key.
    Parked,
    /// Some handler gave it up.
    Dead,
}

/// One row of a list.
#[derive(Debug, Clone)]
pub struct MessageRecord {
    /// The message, with its payload.
    pub message: Arc<Envelope>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Over all handlers.
    pub state: MessageState,
    /// When it may be delivered, if it was published for later.
    pub deliver_at: Option<Timestamp>,
    /// The payload was dropped once every handler had settled it: [`Envelope::data`] is empty.
    pub payload_dropped: bool,
}

/// One message in full.
#[derive(Debug, Clone)]
pub struct MessageDetail {
    /// The row.
    pub record: MessageRecord,
    /// One per bound handler.
    pub deliveries: Vec<DeliveryRecord>,
    /// Messages that handlers emitted for it, in order.
    pub children: Vec<MessageId>,
}

/// State of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Not taken yet.
    Pending,
    /// Handed out, not settled.
    Running,
    /// Done; or discarded by an operator, which its last attempt says then.
    Acked,
    /// Failed; will be tried again.
    Retrying,
    /// Behind an earlier message of its ordering key, or given up and holding that key: then its last attempt says why.
    Parked,
    /// Given up.
    Dead,
}

/// One delivery of one message.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// `instance.handler`.
    pub handler: String,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts so far, of this replay.
    pub attempt: u32,
    /// How often it was replayed.
    pub replay: u32,
    /// When the next attempt is due, if retrying.
    pub due: Option<Timestamp>,
    /// Failed attempts, oldest first, over all replays.
    pub attempts: Vec<AttemptRecord>,
}

/// One failed attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    /// Of which replay; 0 is the first delivery.
    pub replay: u32,
    /// Number, from 1.
    pub attempt: u32,
    /// What happened.
    #[serde(flatten)]
    pub failure: Failure,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterQuery {
    /// Of this handler.
    pub handler: Option<String>,
    /// Of this type.
    pub ty: Option<MessageType>,
    /// Died at or after.
    pub since: Option<Timestamp>,
    /// Died before.
    pub until: Option<Timestamp>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most this many; engines clamp it to 1..=500.
    pub limit: usize,
}

/// A delivery that was given up, with its own copy of the message.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// `instance.handler`.
    pub handler: String,
    /// The message.
    pub message: Arc<Envelope>,
    /// When it died.
    pub died: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// The last failure.
    pub failure: Failure,
}

/// Counts over the whole journal.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Messages in the log.
    pub messages: u64,
    /// Bytes that count against `max_size`.
    pub size: u64,
    /// Dead letters.
    pub dead: u64,
    /// Messages whose time has not come.
    pub delayed: u64,
    /// The engine and what it found, for an operator: `redis 7.0.15, appendfsync always`.
    pub engine: String,
    /// What receipts say.
    pub durability: Durability,
    /// Other processes that have the journal open.
    pub nodes: u64,
    /// One per known handler.
    pub handlers: Vec<HandlerStats>,
}

/// Counts of one handler.
#[derive(Debug, Clone)]
pub struct HandlerStats {
    /// `instance.handler`.
    pub handler: String,
    /// The types it is bound to.
    pub types: Vec<MessageType>,
    /// Messages not settled yet: waiting, running, retrying and parked.
    pub lag: u64,
    /// Handed out now.
    pub running: u64,
    /// Waiting for another attempt.
    pub retrying: u64,
    /// Behind an earlier message of their ordering key, or holding it.
    pub parked: u64,
    /// Given up.
    pub dead: u64,
    /// Age of the oldest unsettled message.
    pub oldest: Option<Duration>,
    /// False once it is no longer in the wiring.
    pub open: bool,
    /// An operator paused it.
    pub paused: bool,
}
