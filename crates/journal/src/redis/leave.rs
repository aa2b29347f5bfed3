//! A handler that this node does not serve any more: what it holds of it is given back, and the others are told.

use std::sync::Arc;

use super::error::StoreError;
use super::handler::Handler;
use super::state::Shared;
use super::{life, registry};
use crate::Absence;

/// See [`crate::Journal::leave`].
pub(super) async fn leave(
    shared: &Arc<Shared>,
    id: &str,
    absence: Absence,
) -> Result<(), StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    let here = shared.handler(id);
    if here.is_none() && registry::handler(shared, id).await?.is_none() {
        return Ok(());
    }
    if let Some(handler) = here {
        end(shared, &handler).await?;
    }
    match absence {
        Absence::Waiting => {
            shared.held().insert(id.into());
            registry::announce(shared).await
        }
        Absence::Removed => {
            shared.held().remove(id);
            registry::gone(shared, id).await?;
            registry::learn_removed(shared).await
        }
    }
}

/// Ends its stream and gives back what this node holds of it. If that fails, it is to be ended before it is opened.
pub(super) async fn end(shared: &Arc<Shared>, handler: &Arc<Handler>) -> Result<(), StoreError> {
    handler.shut();
    // A read that is under way may still take something.
    drop(handler.feeding.lock().await);
    life::give_back_of(shared, handler).await?;
    shared.handlers().remove(&handler.name);
    Ok(())
}
