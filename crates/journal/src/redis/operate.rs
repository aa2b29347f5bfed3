//! What operators do: replay, discard, and control a handler.

use super::error::StoreError;
use super::state::Shared;
use crate::{Control, Discard, Replay, Replayed};

/// See [`crate::Journal::replay`].
pub(super) async fn replay(_: &Shared, _: Vec<Replay>) -> Result<Vec<Replayed>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::discard`].
pub(super) async fn discard(_: &Shared, _: Vec<Discard>) -> Result<Vec<u64>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::control`].
pub(super) async fn control(_: &Shared, _: &str, _: Control) -> Result<Option<u64>, StoreError> {
    Err(StoreError::Unbuilt)
}
