//! Counts, sizes and lags.

use super::error::StoreError;
use super::state::Shared;
use crate::Stats;

/// See [`crate::Journal::stats`].
pub(super) async fn stats(_: &Shared) -> Result<Stats, StoreError> {
    Err(StoreError::Unbuilt)
}
