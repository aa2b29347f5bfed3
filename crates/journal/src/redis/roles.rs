//! What one node does at a time, and ticks.

use std::time::Duration;

use coordinator_message::Timestamp;

use super::error::StoreError;
use super::state::Shared;
use crate::Tick;

/// See [`crate::Journal::lead`].
pub(super) async fn lead(
    _: &Shared,
    _: &str,
    _: &str,
    _: Duration,
) -> Result<Option<u64>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::resign`].
pub(super) async fn resign(_: &Shared, _: &str, _: &str) -> Result<(), StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::last_tick`].
pub(super) async fn last(_: &Shared, _: &str) -> Result<Option<Timestamp>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::tick`].
pub(super) async fn tick(_: &Shared, _: Tick) -> Result<bool, StoreError> {
    Err(StoreError::Unbuilt)
}
