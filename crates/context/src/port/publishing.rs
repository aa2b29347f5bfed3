//! Publishing from a call: durable at once from a route, with the ack from a delivery.

use bytes::Bytes;
use coordinator_abi::call::{FailureMeta, PublishItem, PublishMeta, PublishReply, ReceiptMeta};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::Fields;
use coordinator_abi::{Code, SharedBytes};
use coordinator_journal::{NewMessage, ReceiptStatus};
use coordinator_message::{MessageId, Timestamp};

use super::{Port, Scope, Underway, lock};
use crate::outcomes::{rejected, unpublished};
use crate::publish::Origin;

type Published = Result<PublishReply, (Code, FailureMeta)>;

impl Port {
    fn origin(&self) -> Origin {
        let instance = &self.shared.instance;
        Origin {
            publisher: format!("plugin/{instance}"),
            source: format!("/plugins/{instance}"),
            trace: self.trace.map(|trace| trace.child()),
        }
    }

    pub(super) async fn accept(&self, meta: &[u8], payloads: SharedBytes) -> Published {
        let meta: PublishMeta = serde_json::from_slice(meta).map_err(|error| rejected(&error))?;
        let payloads = payloads.into_bytes();
        let mut fields = Fields::new(&payloads);
        let mut items = Vec::with_capacity(meta.messages.len());
        for item in meta.messages {
            let payload = fields.next_bytes().map_err(|error| rejected(&error))?;
            items.push((item, payloads.slice_ref(payload)));
        }
        match &self.scope {
            Scope::Idle => {
                let failure = FailureMeta::new(
                    "a plugin publishes from its routes, handlers, steps and commands, not while it starts, stops or is looked at",
                );
                Err((outcome::REJECTED, failure))
            }
            Scope::Route => self.publish_now(items).await,
            Scope::Delivery(underway) => self.publish_with_ack(items, underway),
        }
    }

    async fn publish_now(&self, items: Vec<(PublishItem, Bytes)>) -> Published {
        let publisher = &self.shared.services.publisher;
        let (origin, now) = (self.origin(), Timestamp::now());
        let mut batch = Vec::with_capacity(items.len());
        for (item, payload) in items {
            let message = publisher.prepare(item, payload, &origin, MessageId::new(now), now);
            batch.push(message.map_err(|error| rejected(&error))?);
        }
        let receipts = publisher
            .publish(batch)
            .await
            .map_err(|error| unpublished(&error))?;
        for receipt in receipts
            .iter()
            .filter(|receipt| receipt.status == ReceiptStatus::Conflict)
        {
            tracing::warn!(
                plugin.name = %self.shared.instance,
                cloudevents.event_id = %receipt.id,
                "`{}` was sent again with another payload under the same idempotency key: the first one stands",
                receipt.id
            );
        }
        let receipts = receipts.into_iter().map(|receipt| ReceiptMeta {
            id: receipt.id.to_string(),
            duplicate: receipt.status != ReceiptStatus::Accepted,
        });
        Ok(PublishReply {
            receipts: receipts.collect(),
        })
    }

    /// Checked now, stored with the ack: the ids are those that another run of this delivery would give.
    fn publish_with_ack(&self, items: Vec<(PublishItem, Bytes)>, underway: &Underway) -> Published {
        let delivery = underway.delivery();
        let mut emits = lock(underway.emits());
        let Some(emits) = emits.as_mut() else {
            let failure = FailureMeta::new(
                "the delivery has ended: nothing can be published for it any more",
            );
            return Err((outcome::REJECTED, failure));
        };
        let (origin, now) = (self.origin(), Timestamp::now());
        let mut batch = Vec::with_capacity(items.len());
        for (item, payload) in items {
            let index = u32::try_from(emits.len() + batch.len()).unwrap_or(u32::MAX);
            let prepared = self.shared.services.publisher.prepare(
                item,
                payload,
                &origin,
                underway.emit_id(index),
                now,
            );
            let mut message = prepared.map_err(|error| rejected(&error))?;
            message.envelope.correlation = delivery.message.correlation;
            message.envelope.cause = Some(delivery.message.id);
            batch.push(message);
        }
        let receipt = |message: &NewMessage| ReceiptMeta {
            id: message.envelope.id.to_string(),
            duplicate: false,
        };
        let receipts = batch.iter().map(receipt).collect();
        emits.extend(batch);
        Ok(PublishReply { receipts })
    }
}
