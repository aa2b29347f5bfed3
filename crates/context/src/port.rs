//! What is lent to one call: it publishes, calls out and sleeps for that call, and for nobody else.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::call::{
    FailureMeta, HttpMeta, PublishItem, PublishMeta, PublishReply, ReceiptMeta, json,
};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::Fields;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::{Code, Lend, Outcome, RawFuture, SharedBytes};
use coordinator_egress::{Egress, EgressError, HostPolicy, OutboundRequest, OutboundResponse};
use coordinator_journal::{Delivery, NewMessage, ReceiptStatus};
use coordinator_message::{MessageId, Timestamp, TraceParent};
use tokio::runtime::Handle;

use crate::outcomes::{answered, chain, egress_code, rejected, unpublished};
use crate::publish::{Origin, Publisher};

/// What the host lends through every port.
#[derive(Clone)]
pub struct Services {
    /// Takes messages.
    pub publisher: Publisher,
    /// Calls other systems.
    pub egress: Egress,
    /// Where outbound calls and timers run, whichever thread the plugin polls on.
    pub io: Handle,
}

/// What all calls of one instance share.
pub(crate) struct Shared {
    pub(crate) instance: String,
    pub(crate) services: Services,
    pub(crate) policy: Arc<HostPolicy>,
}

/// One call's share.
pub(crate) struct Port {
    shared: Arc<Shared>,
    scope: Scope,
    trace: Option<TraceParent>,
    http_calls: AtomicU32,
    /// The longest wait that an open breaker told, in milliseconds; zero if none was open.
    turned_away_ms: AtomicU64,
}

/// What the call is for.
pub(crate) enum Scope {
    /// `#[start]`: nothing can be published yet.
    Start,
    /// A route: what it publishes is durable when the publish returns.
    Route,
    /// A delivery: what it publishes is kept until its ack. `None` once the call has ended.
    Delivery {
        delivery: Box<Delivery>,
        emits: Mutex<Option<Vec<NewMessage>>>,
    },
}

type Published = Result<PublishReply, (Code, FailureMeta)>;

impl Port {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope, trace: Option<TraceParent>) -> Self {
        Self {
            shared,
            scope,
            trace,
            http_calls: AtomicU32::new(0),
            turned_away_ms: AtomicU64::new(0),
        }
    }

    /// Was an outbound call not made because a breaker is open? Then: for how long it stays so.
    pub(crate) fn turned_away(&self) -> Option<Duration> {
        match self.turned_away_ms.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// Ends a delivery: what it published so far. Later publishes are refused.
    pub(crate) fn end(&self) -> Vec<NewMessage> {
        match &self.scope {
            Scope::Delivery { emits, .. } => lock(emits).take().unwrap_or_default(),
            Scope::Start | Scope::Route => Vec::new(),
        }
    }

    fn origin(&self) -> Origin {
        let instance = &self.shared.instance;
        Origin {
            publisher: format!("plugin/{instance}"),
            source: format!("/plugins/{instance}"),
            trace: self.trace.map(|trace| trace.child()),
        }
    }

    async fn accept(&self, meta: &[u8], payloads: SharedBytes) -> Published {
        let meta: PublishMeta = serde_json::from_slice(meta).map_err(|error| rejected(&error))?;
        let payloads = payloads.into_bytes();
        let mut fields = Fields::new(&payloads);
        let mut items = Vec::with_capacity(meta.messages.len());
        for item in meta.messages {
            let payload = fields.next_bytes().map_err(|error| rejected(&error))?;
            items.push((item, payloads.slice_ref(payload)));
        }
        match &self.scope {
            Scope::Start => {
                let failure = FailureMeta::new(
                    "a plugin publishes from its routes and handlers, not while it starts",
                );
                Err((outcome::REJECTED, failure))
            }
            Scope::Route => self.publish_now(items).await,
            Scope::Delivery { delivery, emits } => self.publish_with_ack(items, delivery, emits),
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
    fn publish_with_ack(
        &self,
        items: Vec<(PublishItem, Bytes)>,
        delivery: &Delivery,
        emits: &Mutex<Option<Vec<NewMessage>>>,
    ) -> Published {
        let mut emits = lock(emits);
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
                delivery.emit_id(index),
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

    async fn call_out(&self, meta: HttpMeta, body: Bytes) -> Result<OutboundResponse, EgressError> {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(meta.headers.len() + 1);
        for (name, value) in meta.headers {
            headers.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
        if let Some(key) = self.idempotency_key(&meta.method)
            && !headers.iter().any(|(name, _)| name == "idempotency-key")
        {
            headers.push(("idempotency-key".to_owned(), key));
        }
        let request = OutboundRequest {
            method: meta.method,
            url: meta.url,
            headers,
            body,
            timeout: meta.timeout_ms.map(Duration::from_millis),
            trace: self.trace,
            policy: Arc::clone(&self.shared.policy),
        };
        self.shared.services.egress.send(request).await
    }

    fn unanswered(&self, error: &EgressError) -> Outcome {
        let after_ms = match error {
            EgressError::Open { after, .. } => {
                // A breaker that opens in less than a millisecond is open all the same.
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).max(1);
                self.turned_away_ms.fetch_max(millis, Ordering::Relaxed);
                Some(millis)
            }
            _ => None,
        };
        let failure = FailureMeta {
            after_ms,
            chain: chain(error),
        };
        Outcome::with_meta(egress_code(error.kind()), failure.encode())
    }

    /// UUIDv5 of delivery, replay number and call number: every attempt of a delivery says the same, so that the
    /// other side can tell a repeat from a new call.
    fn idempotency_key(&self, method: &str) -> Option<String> {
        let Scope::Delivery { delivery, .. } = &self.scope else {
            return None;
        };
        if matches!(method, "GET" | "HEAD" | "OPTIONS") {
            return None;
        }
        let number = self.http_calls.fetch_add(1, Ordering::Relaxed);
        let scope = format!("{}/http", delivery.token.handler);
        Some(
            delivery
                .message
                .id
                .emitted(&scope, delivery.replay, number)
                .to_string(),
        )
    }
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = Some(crate::log::table);

    fn publish(self: Arc<Self>, meta: SharedBytes, payloads: SharedBytes) -> RawFuture {
        RawFuture::new(async move {
            match self.accept(&meta, payloads).await {
                Ok(reply) => Outcome {
                    meta: json(&reply),
                    ..Outcome::ok()
                },
                Err((code, failure)) => Outcome::with_meta(code, failure.encode()),
            }
        })
    }

    fn http(self: Arc<Self>, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        let io = self.shared.services.io.clone();
        let call = async move {
            let meta = match HttpMeta::decode(&meta) {
                Ok(meta) => meta,
                Err(error) => {
                    let failure = FailureMeta::new(error.to_string());
                    return Outcome::with_meta(outcome::REJECTED, failure.encode());
                }
            };
            match self.call_out(meta, body.into_bytes()).await {
                Ok(response) => answered(response),
                Err(error) => self.unanswered(&error),
            }
        };
        RawFuture::new(Entered {
            inner: Box::pin(call),
            io,
        })
    }

    fn sleep(self: Arc<Self>, time: Duration) -> RawFuture {
        let io = self.shared.services.io.clone();
        let sleep = async move {
            tokio::time::sleep(time).await;
            Outcome::ok()
        };
        RawFuture::new(Entered {
            inner: Box::pin(sleep),
            io,
        })
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_millis()
    }
}

/// Polls inside the host's IO runtime, because a plugin may poll from a thread that has none.
struct Entered {
    inner: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    io: Handle,
}

impl Future for Entered {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let io = self.io.clone();
        let _entered = io.enter();
        self.inner.as_mut().poll(context)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
