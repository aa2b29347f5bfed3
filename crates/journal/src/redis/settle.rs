//! Settling deliveries.

use std::sync::Arc;

use super::error::StoreError;
use super::state::Shared;
use crate::{Settle, SettleOutcome};

/// See [`crate::Journal::settle`].
pub(super) async fn settle(
    _: &Arc<Shared>,
    _: Vec<Settle>,
) -> Result<Vec<SettleOutcome>, StoreError> {
    Err(StoreError::Unbuilt)
}
