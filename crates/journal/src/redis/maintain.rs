//! Retention.

use super::error::StoreError;
use super::state::Shared;

/// See [`crate::Journal::maintain`].
pub(super) async fn maintain(_: &Shared) -> Result<(), StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::probe`].
pub(super) async fn probe(_: &Shared) -> Result<(), StoreError> {
    Err(StoreError::Unbuilt)
}
