//! What comes out: deliveries, and how they are settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::NewMessage;

/// A handler as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerSpec {
    /// `instance.handler`. Everything durable hangs on it.
    pub id: String,
    /// The types it is bound to.
    pub types: Vec<MessageType>,
    /// The lanes that each type is published in.
    pub lanes: BTreeMap<MessageType, BTreeSet<String>>,
    /// Where a new handler, or a newly bound type, starts.
    pub from: StartFrom,
    /// Keep the order of messages of one ordering key within a lane? See [`crate::Journal::open`].
    pub order: bool,
}

/// Where a new cursor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartFrom {
    /// Only messages accepted from now on.
    #[default]
    Now,
    /// Everything still in the log.
    Earliest,
}

/// One message for one handler, to be settled.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message, shared between handlers.
    pub message: Arc<Envelope>,
    /// Number of this attempt, from 1. Counts on over a restart; starts again at 1 on a replay.
    pub attempt: u32,
    /// Attempts before this one that panicked.
    pub crashes: u32,
    /// How often it was replayed; part of the ids of what it emits.
    pub replay: u32,
    /// Settles it.
    pub token: Token,
}

/// Names one handed-out delivery. Opaque outside the engine that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// `instance.handler`.
    pub handler: Arc<str>,
    /// Which part of the log: engines that have but one say 0.
    pub shard: u32,
    /// Log position within it.
    pub position: u64,
    /// Distinguishes one handing-out from another of the same delivery: an older one settles nothing.
    pub fence: u64,
}

/// Settles one delivery.
#[derive(Debug, Clone)]
pub struct Settle {
    /// Which.
    pub token: Token,
    /// How.
    pub verdict: Verdict,
}

/// What the journal is to remember of an attempt.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Done. What the handler published is stored in the same write; a duplicate among it is no error.
    Ack {
        /// Published by the handler during this attempt.
        emits: Vec<NewMessage>,
    },
    /// Again, not before `due`.
    Retry {
        /// When.
        due: Timestamp,
        /// Why.
        failure: Failure,
    },
    /// Never again unless replayed: to the dead letters.
    Dead {
        /// Why.
        failure: Failure,
    },
    /// To the dead letters with every later message of its ordering key that this handler has not begun. For a handler
    /// without order, or a message without key, the same as [`Verdict::Dead`].
    DeadKey {
        /// Why.
        failure: Failure,
    },
    /// Given up for now: it stays where it is, and holds its ordering key, until an operator replays or discards it.
    /// For a handler without order, or a message without key, the same as [`Verdict::Dead`].
    Park {
        /// Why.
        failure: Failure,
    },
    /// Not attempted after all, or not to be counted: delivered again as the same attempt, not before `due`.
    Release {
        /// When; `None` is at once.
        due: Option<Timestamp>,
    },
}

/// Why an attempt failed. Text only: it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// The error, then its causes, outermost first. Already redacted.
    pub chain: Vec<String>,
    /// When the attempt began.
    pub started: Timestamp,
    /// How long it ran, in milliseconds.
    pub ran_ms: u64,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The handler asked for another attempt.
    Retry,
    /// The handler refused the message.
    Refused,
    /// The handler panicked.
    Panic,
    /// The attempt outlived the handler's timeout.
    Timeout,
    /// The message expired before the handler took it.
    Expired,
    /// It killed the process that handled it, or vanished with its node, too often.
    Poison,
    /// An earlier message of its ordering key was given up, and the terms say that this gives it up too.
    Blocked,
    /// An operator discarded it.
    Discarded,
}

/// What became of one settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleOutcome {
    /// Done.
    Settled,
    /// The token is not current: somebody else settled it. Nothing was changed, no emit stored.
    Stale,
}

impl HandlerSpec {
    /// A handler of `types`, each published in the lane of its own name, from now on and in no order.
    #[must_use]
    pub fn new(id: impl Into<String>, types: Vec<MessageType>) -> Self {
        Self {
            id: id.into(),
            lanes: types
                .iter()
                .map(|ty| (ty.clone(), [ty.as_str().to_owned()].into()))
                .collect(),
            types,
            from: StartFrom::Now,
            order: false,
        }
    }

    /// The same, but all its types are published in these lanes.
    #[must_use]
    pub fn in_lanes(self, lanes: &[&str]) -> Self {
        let lanes: BTreeSet<String> = lanes.iter().map(|lane| (*lane).to_owned()).collect();
        Self {
            lanes: self
                .types
                .iter()
                .map(|ty| (ty.clone(), lanes.clone()))
                .collect(),
            ..self
        }
    }
}

impl Delivery {
    /// The id of the message that this delivery emits at `index`.
    #[must_use]
    pub fn emit_id(&self, index: u32) -> MessageId {
        self.message
            .id
            .emitted(&self.token.handler, self.replay, index)
    }
}
