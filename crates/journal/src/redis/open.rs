//! Opening a handler: its groups and bindings.

use std::sync::Arc;

use super::error::StoreError;
use super::state::Shared;
use crate::{Deliveries, HandlerSpec};

/// See [`crate::Journal::open`].
pub(super) async fn open(
    _: &Arc<Shared>,
    _: HandlerSpec,
) -> Result<Box<dyn Deliveries>, StoreError> {
    Err(StoreError::Unbuilt)
}
