//! The list of dead letters.

use super::error::StoreError;
use super::state::Shared;
use crate::{DeadLetter, DeadLetterQuery, Page};

/// See [`crate::Journal::dead_letters`].
pub(super) async fn letters(
    _: &Shared,
    _: DeadLetterQuery,
) -> Result<Page<DeadLetter>, StoreError> {
    Err(StoreError::Unbuilt)
}
