//! One handler that is open on this node.

use std::sync::atomic::{AtomicBool, Ordering};

/// What this node holds of one handler.
#[derive(Debug, Default)]
pub(super) struct Handler {
    /// An operator paused it: nothing is handed out.
    paused: AtomicBool,
}

// === impl Handler ===

impl Handler {
    /// Something may be there, or due, in this shard.
    pub(super) fn poke(&self, _shard: u32) {}

    /// Pauses it, or lets it go on.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
    }
}
