//! What operators do to handlers and deliveries, beyond looking at them.

use coordinator_message::{MessageId, Timestamp};

/// What is done to one handler. Durable, and known to every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Nothing is handed out any more; what is handed out may be settled.
    Pause,
    /// Deliveries are handed out again.
    Resume,
    /// What was accepted until now and is not handed out is settled without running it: waiting, retrying and parked.
    Skip,
}

/// Why nobody here serves a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It is in the wiring, and what would serve it is switched off or does not run. It counts as open: its messages
    /// wait for it, within the backlog and the retention.
    Waiting,
    /// It has left the wiring. It fills no backlog, and what it has not settled is kept for one retention.
    Removed,
}

/// One message to deliver again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Which.
    pub message: MessageId,
    /// To this handler, or to every handler that is bound to its type.
    pub handler: Option<String>,
    /// Not before; `None` is at once.
    pub due: Option<Timestamp>,
}

/// What became of one replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// So many deliveries were scheduled; one that is still to come is not scheduled twice.
    Scheduled(u64),
    /// The message, or that handler for it, is not known.
    NotFound,
    /// Its payload was dropped when it was settled: there is nothing to deliver.
    PayloadDropped,
}

/// What is not to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    /// Which message.
    pub message: MessageId,
    /// For this handler, or for all.
    pub handler: Option<String>,
}
