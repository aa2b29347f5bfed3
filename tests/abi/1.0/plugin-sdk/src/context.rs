//! What the host lends to one call.

use std::time::Duration;

use coordinator_abi::Lent;
use coordinator_abi::call::HandleMeta;

use crate::{Http, Message, Publish, Timestamp};

/// What the host lends to one call of a handler, a route or `#[start]`.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
/// # /// A thing was counted.
/// # #[message("org.example.thing.counted.v1")] pub struct Counted { pub id: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Counts a thing.
/// #[handler]
/// async fn count(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> {
///     tracing::info!(attempt = ctx.message().map_or(0, |message| message.attempt), "counting");
///     ctx.publish(Counted { id: thing.id }).await?;
///     Ok(())
/// }
/// # }
/// ```
pub struct Context {
    lent: Lent,
    webhook_id: String,
    message: Option<MessageInfo>,
}

/// The message that a handler is called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its id.
    pub id: String,
    /// Who published it.
    pub source: String,
    /// When it happened.
    pub time: Timestamp,
    /// Its ordering key.
    pub key: Option<String>,
    /// Shared by every message of one chain.
    pub correlation: String,
    /// Number of this attempt, from 1.
    pub attempt: u64,
    /// How often it was replayed.
    pub replay: u64,
}

impl Context {
    pub(crate) fn of_start(lent: Lent) -> Self {
        Self {
            lent,
            webhook_id: String::new(),
            message: None,
        }
    }

    pub(crate) fn of_route(lent: Lent, webhook_id: String) -> Self {
        Self {
            lent,
            webhook_id,
            message: None,
        }
    }

    pub(crate) fn of_handler(lent: Lent, meta: HandleMeta) -> Self {
        let message = MessageInfo {
            id: meta.id,
            source: meta.source,
            time: Timestamp::from_millis(i64::try_from(meta.time_ms).unwrap_or(i64::MAX)),
            key: meta.key,
            correlation: meta.correlation,
            attempt: meta.attempt,
            replay: meta.replay,
        };
        Self {
            lent,
            webhook_id: message.id.clone(),
            message: Some(message),
        }
    }

    /// Publishes a message when the returned builder is awaited. See [`Publish`].
    pub fn publish<M: Message>(&self, message: M) -> Publish {
        Publish::new(self.lent.clone(), &message)
    }

    /// Calls other systems. See [`Http`].
    #[must_use]
    pub fn http(&self) -> Http<'_> {
        Http::new(&self.lent)
    }

    /// In a route: the sender's id of this event (of its scheme, else the SHA-256 of the body), never absent, so
    /// that it can be the idempotency key. In a handler: the message's id.
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        &self.webhook_id
    }

    /// In a handler: the message it is called for.
    #[must_use]
    pub fn message(&self) -> Option<&MessageInfo> {
        self.message.as_ref()
    }

    /// The host's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.lent.now())
    }

    /// Waits, without holding a thread.
    pub async fn sleep(&self, time: Duration) {
        self.lent.sleep(time).await;
    }
}
