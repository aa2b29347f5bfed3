//! What goes in: new messages and their receipts.

use std::time::Duration;

use coordinator_message::{Envelope, MessageId, Timestamp};
use serde::Serialize;

use crate::JournalError;

/// A message to accept.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message.
    pub envelope: Envelope,
    /// Who publishes: a plugin instance (`plugin/stripe`) or an API key (`key/orders`). Scopes the idempotency key.
    pub publisher: String,
    /// Same publisher, type and key within the window: the same message.
    pub idempotency_key: Option<String>,
    /// Not delivered before this time. Accepted and durable at once; until then it is in no handler's log.
    pub deliver_at: Option<Timestamp>,
}

/// What became of one message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The stored message: the first one's id for a duplicate.
    pub id: MessageId,
    /// Accepted, duplicate or conflict.
    pub status: ReceiptStatus,
    /// What "accepted" is worth.
    pub durability: Durability,
}

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptStatus {
    /// Stored now.
    Accepted,
    /// Stored before, with the same payload.
    Duplicate,
    /// The key was used before with another payload. Nothing was stored.
    Conflict,
}

/// What a write has survived when it is reported done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Synced to disk: survives a power cut.
    Strict,
    /// Written to the operating system: survives the death of the process, not a power cut.
    Relaxed,
}

/// A batch was refused; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// `max_size` or `max_backlog` is reached.
    #[error("the journal is full: {what}")]
    Full {
        /// Which bound, with both numbers, such as `max_size 1 GiB, stored 1.1 GiB`.
        what: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The engine cannot write.
    #[error("the journal cannot be written")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// Why.
        #[source]
        source: JournalError,
    },
}
