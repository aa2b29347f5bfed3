//! The journal as records, and from records.

use super::error::StoreError;
use super::state::Shared;
use crate::{Page, Record};

/// See [`crate::Journal::export`].
pub(super) async fn export(_: &Shared, _: Option<String>) -> Result<Page<Record>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::import`].
pub(super) async fn import(_: &Shared, _: Vec<Record>) -> Result<(), StoreError> {
    Err(StoreError::Unbuilt)
}
