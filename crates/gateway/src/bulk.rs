//! Replaying and discarding many: one run at a time, to its end, whoever still listens.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turn of who replays or discards many: what is chosen is held in memory, and two runs over the same messages would
/// deliver what the first one has finished a second time.
pub struct Bulk(Arc<Semaphore>);

impl Default for Bulk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Bulk {
    /// `None` while somebody else is at it.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}
