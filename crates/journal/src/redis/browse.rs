//! What operators look at: messages, and one in full.

use coordinator_message::MessageId;

use super::error::StoreError;
use super::state::Shared;
use crate::{MessageDetail, MessageQuery, MessageRecord, Page};

/// See [`crate::Journal::messages`].
pub(super) async fn messages(
    _: &Shared,
    _: MessageQuery,
) -> Result<Page<MessageRecord>, StoreError> {
    Err(StoreError::Unbuilt)
}

/// See [`crate::Journal::message`].
pub(super) async fn detail(_: &Shared, _: MessageId) -> Result<Option<MessageDetail>, StoreError> {
    Err(StoreError::Unbuilt)
}
