//! A journal as a stream of records, for moving it to another engine.

use std::sync::Arc;

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};

use crate::{AttemptRecord, DeadLetter, Failure};

/// One record. They come in this order: handlers, messages oldest first, dead letters, keys, schedules.
#[derive(Debug, Clone)]
pub enum Record {
    /// A handler, as it was when it was last open.
    Handler(HandlerRecord),
    /// A message that is not settled by every handler, or not delivered yet.
    Message(WaitingMessage),
    /// A delivery that was given up.
    DeadLetter(DeadLetter),
    /// An idempotency key.
    Key(KeyRecord),
    /// When a schedule last ticked.
    Schedule {
        /// Its name.
        name: String,
        /// When.
        at: Timestamp,
    },
}

/// A handler. Where it stands follows from the messages: what is not among them is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerRecord {
    /// `instance.handler`.
    pub id: String,
    /// The types it is bound to.
    pub types: Vec<MessageType>,
    /// An operator paused it.
    pub paused: bool,
}

/// A message and who has yet to settle it.
#[derive(Debug, Clone)]
pub struct WaitingMessage {
    /// The message.
    pub message: Arc<Envelope>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it may be delivered, if that time has not come: then it has no deliveries yet.
    pub deliver_at: Option<Timestamp>,
    /// Handlers that have not settled it.
    pub deliveries: Vec<WaitingDelivery>,
}

/// A delivery that is not settled.
#[derive(Debug, Clone)]
pub struct WaitingDelivery {
    /// `instance.handler`.
    pub handler: String,
    /// Not before this time; `None` is at once.
    pub due: Option<Timestamp>,
    /// Attempts made, of this replay.
    pub attempt: u32,
    /// Attempts that panicked.
    pub crashes: u32,
    /// How often it was replayed.
    pub replay: u32,
    /// Given up, and holding its ordering key: why.
    pub parked: Option<Failure>,
    /// Failed attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

/// An idempotency key. The digests are the first 16 bytes of a SHA-256, the same in every engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Of publisher, type and key.
    pub scope: Vec<u8>,
    /// The message that it stands for.
    pub id: MessageId,
    /// Of the payload.
    pub digest: Vec<u8>,
    /// When it was used.
    pub at: Timestamp,
}
