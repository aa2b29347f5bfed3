//! Deliveries that this node holds: read, handed out, or being settled.

use std::sync::Arc;

use coordinator_message::Envelope;

use crate::digest::Digest;

/// One delivery that this node holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) message: Arc<Envelope>,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) replay: u32,
    /// Digest of its ordering key.
    pub(super) key: Option<Digest>,
    /// A first attempt, pending in the group; else a row.
    pub(super) first: bool,
    /// Incarnation of this node that was given it.
    pub(super) incarnation: u64,
    pub(super) fence: u64,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Read, and not taken yet.
    Buffered,
    /// Handed out.
    Out,
    /// Its settling is being written.
    Settling,
    /// Settled, but the caller was told of an error: it will ask again.
    Done,
}

/// Something that was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shard: u32,
    pub(super) position: u64,
    pub(super) message: Arc<Envelope>,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) replay: u32,
    pub(super) key: Option<Digest>,
    pub(super) first: bool,
    pub(super) incarnation: u64,
}

/// May a delivery be settled?
#[derive(Debug)]
pub(super) enum Claim {
    /// Yes, with what it is.
    Yes(Held),
    /// It was; the caller did not hear of it.
    Done,
    /// No: somebody else did, or holds it.
    Stale,
}

// === impl Held ===

impl Held {
    /// What was read, under a fence of its own.
    pub(super) fn new(found: Found, fence: u64) -> Self {
        Self {
            message: found.message,
            attempt: found.attempt,
            crashes: found.crashes,
            replay: found.replay,
            key: found.key,
            first: found.first,
            incarnation: found.incarnation,
            fence,
            stage: Stage::Buffered,
        }
    }
}
