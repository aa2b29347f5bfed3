//! Who follows new messages: so many at most, and none once the host stops.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Each follower asks the journal a few times a second.
const MOST: usize = 32;

/// Places for followers. Clones share them.
#[derive(Clone)]
pub struct Tails {
    places: Arc<Semaphore>,
    closing: watch::Sender<bool>,
}

/// A follower's place, free again when it is dropped.
pub(crate) struct Place {
    closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Default for Tails {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            closing: watch::Sender::new(false),
        }
    }
}

impl Tails {
    /// Ends every follower, and takes no new one: the server's stop would wait for them.
    pub fn close(&self) {
        self.places.close();
        self.closing.send_replace(true);
    }

    /// `None` if all places are taken, or the host stops.
    pub(crate) fn take(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place {
            closing: self.closing.subscribe(),
            _place: place,
        })
    }
}

impl Place {
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when the host stops.
    pub(crate) async fn closed(&mut self) {
        // An error is a host that is gone altogether.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}
