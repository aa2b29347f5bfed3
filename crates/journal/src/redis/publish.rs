//! Accepting messages.

use std::sync::Arc;

use super::error::StoreError;
use super::state::Shared;
use crate::{NewMessage, Receipt};

/// A bound is reached: which, in words.
#[derive(Debug, Clone)]
pub(super) struct Full(pub(super) String);

/// See [`crate::Journal::publish`].
pub(super) async fn publish(
    _: &Arc<Shared>,
    _: Vec<NewMessage>,
) -> Result<Result<Vec<Receipt>, Full>, StoreError> {
    Err(StoreError::Unbuilt)
}
