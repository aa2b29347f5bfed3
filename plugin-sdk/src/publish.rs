//! Publishing messages.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, PublishItem, PublishMeta, PublishReply, json};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::FieldsWriter;
use coordinator_abi::{Code, Lent, Outcome};

use crate::{Message, RouteError, Timestamp};

/// Messages about to be published, all or nothing, when awaited.
///
/// In a route they are durable when it returns. In a handler they are stored with its ack: if the handler fails,
/// they were never published.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Takes a thing.
/// #[route(post, "/things", auth = public)]
/// async fn take(&self, ctx: &Context, thing: Json<Thing>) -> Result<Response, RouteError> {
///     let key = thing.0.id.clone();
///     let receipt = ctx.publish(thing.0).idempotency_key(key).await?;
///     tracing::info!(message = %receipt.id, duplicate = receipt.duplicate, "took a thing");
///     Ok(Response::accepted())
/// }
/// # }
///
/// /// Both, or neither; each of them after all others of its key, and not before `at`.
/// async fn publish_two(ctx: &Context, one: Thing, other: &Thing, at: Timestamp) -> Result<(), HandlerError> {
///     let both = ctx.publish(one).ordering_key("shelf-1").deliver_at(at);
///     let receipts = both.and(other).ordering_key("shelf-2").deliver_at(at).send().await?;
///     assert_eq!(receipts.len(), 2);
///     Ok(())
/// }
/// ```
#[must_use = "a message is published when this is awaited"]
pub struct Publish {
    lent: Lent,
    items: Vec<PublishItem>,
    payloads: FieldsWriter,
    unencodable: Option<PublishError>,
}

/// What became of one message.
///
/// ```
/// use coordinator_sdk::{Receipt, prelude::*};
///
/// /// What the caller of a route reads.
/// fn answer(receipt: Receipt) -> Response {
///     let status = if receipt.duplicate { 200 } else { 202 };
///     Response::text(status, receipt.id)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its id; of a duplicate, the first one's.
    pub id: String,
    /// Was it published before?
    pub duplicate: bool,
}

impl Publish {
    pub(crate) fn new<M: Message>(lent: Lent, message: &M) -> Self {
        let empty = Self {
            lent,
            items: Vec::new(),
            payloads: FieldsWriter::default(),
            unencodable: None,
        };
        empty.and(message)
    }

    /// Publishes another message with it, all or nothing.
    pub fn and<M: Message>(mut self, message: &M) -> Self {
        match serde_json::to_vec(message) {
            Ok(payload) => self.payloads.put(payload),
            Err(error) => {
                let refused = PublishError::refused(format!(
                    "`{}` does not encode as JSON: {error}",
                    M::TYPE
                ));
                self.unencodable.get_or_insert(refused);
                return self;
            }
        };
        self.items.push(PublishItem {
            ty: M::TYPE.to_owned(),
            lane: M::LANE.map(str::to_owned),
            key: message.key(),
            idempotency_key: None,
            subject: None,
            deliver_at_ms: None,
        });
        self
    }

    /// Of the message added last: the same publisher, type and key within the journal's retention is the same message.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        if let Some(item) = self.items.last_mut() {
            item.idempotency_key = Some(key.into());
        }
        self
    }

    /// Of the message added last: the ordering key, instead of the one that its type derives.
    pub fn ordering_key(mut self, key: impl Into<String>) -> Self {
        if let Some(item) = self.items.last_mut() {
            item.key = Some(key.into());
        }
        self
    }

    /// Of the message added last: accepted now, as durably as any other, and not delivered before `at`. A time that is
    /// past is now; one more than 366 days ahead is refused.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::{Call, Host};
    /// # use std::time::Duration;
    /// # /// A basket was left.
    /// # #[message("org.example.basket.left.v1")] pub struct Left { pub basket: String }
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// /// Takes a basket that was left.
    /// #[route(post, "/left", auth = public)]
    /// async fn left(&self, ctx: &Context, left: Json<Left>) -> Result<Response, RouteError> {
    ///     ctx.publish(left.0).deliver_after(Duration::from_secs(24 * 3600)).await?;
    ///     Ok(Response::accepted())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// host.call(Call::post("/left").json(&serde_json::json!({"basket": "b1"})));
    /// assert_eq!(host.deliver_times::<Left>().len(), 1);
    /// ```
    pub fn deliver_at(mut self, at: Timestamp) -> Self {
        if let Some(item) = self.items.last_mut() {
            item.deliver_at_ms = Some(at.as_millis());
        }
        self
    }

    /// The same, counted from now.
    pub fn deliver_after(self, delay: Duration) -> Self {
        let now = Timestamp::from_millis(self.lent.now());
        self.deliver_at(now.after(delay))
    }

    /// Publishes, and answers one receipt a message.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub async fn send(self) -> Result<Vec<Receipt>, PublishError> {
        if let Some(error) = self.unencodable {
            return Err(error);
        }
        let meta = json(&PublishMeta {
            messages: self.items,
        });
        let outcome = self.lent.publish(meta, self.payloads.finish()).await;
        if !outcome.is_ok() {
            return Err(PublishError::of(&outcome));
        }
        let reply: PublishReply = serde_json::from_slice(&outcome.meta)
            .map_err(|_| PublishError::refused("the host's answer to a publish is malformed"))?;
        let receipt = |meta: coordinator_abi::call::ReceiptMeta| Receipt {
            id: meta.id,
            duplicate: meta.duplicate,
        };
        Ok(reply.receipts.into_iter().map(receipt).collect())
    }
}

impl IntoFuture for Publish {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let first = self.send().await?.into_iter().next();
            first.ok_or_else(|| {
                PublishError::refused("the host answered a publish without a receipt")
            })
        })
    }
}

/// A message was not published.
///
/// ```
/// use coordinator_sdk::{HandlerError, PublishError};
///
/// fn decide(error: PublishError) -> HandlerError {
///     if error.is_temporary() {
///         tracing::info!(after = ?error.retry_after(), "the journal is full, or away");
///     }
///     error.into() // so does `?`: that is tried again, a payload that breaks its schema is not
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("failed to publish: {reason}")]
pub struct PublishError {
    code: Code,
    reason: String,
    after: Option<Duration>,
}

impl PublishError {
    fn refused(reason: impl Into<String>) -> Self {
        Self {
            code: outcome::REJECTED,
            reason: reason.into(),
            after: None,
        }
    }

    fn of(outcome: &Outcome) -> Self {
        let failure = FailureMeta::of(outcome);
        Self {
            code: outcome.code,
            reason: failure.chain.join(": "),
            after: failure.after_ms.map(Duration::from_millis),
        }
    }

    /// Would it work later?
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.code != outcome::REJECTED
    }

    /// When to try again, if the journal said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.after
    }

    pub(crate) fn as_route(&self) -> RouteError {
        match self.code {
            outcome::REJECTED => RouteError::new(422, "schema-mismatch", self.reason.clone()),
            outcome::FULL => RouteError::new(
                503,
                "journal-full",
                "the message was not accepted: try again later",
            ),
            outcome::UNAVAILABLE => RouteError::new(
                503,
                "journal-unavailable",
                "the message was not accepted: try again later",
            ),
            _ => RouteError::new(500, "internal", ""),
        }
    }
}
