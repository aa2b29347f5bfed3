//! The stream of one handler: takes what the feeder deposited.

use std::sync::Arc;

use async_trait::async_trait;

use super::handler::Handler;
use super::state::Shared;
use crate::{Deliveries, Delivery, JournalError};

/// Most deliveries in one call.
const MOST: usize = 1024;

/// See [`Deliveries`].
#[derive(Debug)]
pub(super) struct RedisDeliveries {
    pub(super) shared: Arc<Shared>,
    pub(super) handler: Arc<Handler>,
    pub(super) generation: u64,
}

#[async_trait]
impl Deliveries for RedisDeliveries {
    /// Errors of the server are logged by the feeder, which goes on by itself: the wait only takes longer.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, JournalError> {
        let max = max.clamp(1, MOST);
        loop {
            let ready = self.handler.ready.notified();
            tokio::pin!(ready);
            // Registered before looking, so that what is deposited meanwhile wakes it.
            ready.as_mut().enable();
            if self.shared.is_closed() || self.handler.is_shut() {
                return Ok(Vec::new());
            }
            match self.handler.take(self.generation, max) {
                None => return Ok(Vec::new()),
                Some(taken) if !taken.is_empty() => return Ok(taken),
                Some(_) => {}
            }
            tokio::select! {
                () = ready => {}
                () = self.shared.closing() => {}
            }
        }
    }
}
