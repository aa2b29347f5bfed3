//! What the test host lends: scripted replies, a clock, and a record of what was sent and published.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordinator_abi::call::{
    FailureMeta, HttpMeta, PublishMeta, PublishReply, ReceiptMeta, ResponseMeta, json,
};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::Fields;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::{Code, Lend, Outcome, RawFuture, SharedBytes};

use super::asked::Services;
use crate::Timestamp;

/// One outbound call of the plugin.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # /// Settings.
/// # #[settings] pub struct Lms { /// Root.
/// # url: Url, /// Token.
/// # token: Secret }
/// # #[plugin] impl Lms {
/// /// Asks the LMS to write its index.
/// #[command]
/// async fn index(&self, ctx: &Context) -> Result<(), CommandError> {
///     ctx.http().put(&self.url).bearer(&self.token).json(&"all").send().await?.error_for_status()?;
///     Ok(())
/// }
/// # }
/// let host = Host::<Lms>::new(serde_json::json!({"url": "http://lms.test/index", "token": "t-1"}));
/// host.command("index", &()).unwrap();
/// let sent = &host.requests()[0];
/// assert_eq!((sent.method.as_str(), sent.url.as_str()), ("PUT", "http://lms.test/index"));
/// assert_eq!(sent.body, br#""all""#);
/// assert!(sent.headers.contains(&("authorization".to_owned(), b"Bearer t-1".to_vec())));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// HTTP method.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
}

/// The outside world of one test host.
#[derive(Default)]
pub(super) struct World(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    replies: VecDeque<Outcome>,
    sent: Vec<Sent>,
    published: Vec<Published>,
    keys: Vec<(String, String)>,
    pub(super) now_ms: i64,
    pub(super) services: Services,
}

struct Published {
    ty: String,
    idempotency_key: Option<String>,
    deliver_at_ms: Option<i64>,
    payload: Vec<u8>,
}

/// What is lent to one call.
pub(super) struct Port {
    world: Arc<World>,
    pending: Mutex<Vec<Published>>,
}

impl World {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self, status: u16, headers: &[(&str, &str)], body: &serde_json::Value) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_bytes().to_vec()));
        let head = ResponseMeta {
            status,
            headers: headers.collect(),
        };
        let reply = Outcome {
            meta: head.encode(),
            body: body.to_string().into(),
            ..Outcome::ok()
        };
        self.state().replies.push_back(reply);
    }

    pub(super) fn start(&self, settings: &str) {
        settings.clone_into(&mut self.state().services.settings);
    }

    pub(super) fn now(&self) -> i64 {
        self.state().now_ms
    }

    pub(super) fn cut(&self) {
        let failure = FailureMeta::new("the connection was cut");
        let reply = Outcome::with_meta(outcome::UNAVAILABLE, failure.encode());
        self.state().replies.push_back(reply);
    }

    pub(super) fn turn_away(&self, after: Duration) {
        let failure = FailureMeta {
            after_ms: u64::try_from(after.as_millis()).ok(),
            chain: vec!["it has failed again and again and is not called".to_owned()],
        };
        let reply = Outcome::with_meta(outcome::OPEN, failure.encode());
        self.state().replies.push_back(reply);
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    pub(super) fn published(&self, ty: &str) -> Vec<Vec<u8>> {
        let state = self.state();
        state
            .published
            .iter()
            .filter(|one| one.ty == ty)
            .map(|one| one.payload.clone())
            .collect()
    }

    pub(super) fn deliver_times(&self, ty: &str) -> Vec<Option<Timestamp>> {
        let state = self.state();
        let of_type = state.published.iter().filter(|one| one.ty == ty);
        of_type
            .map(|one| one.deliver_at_ms.map(Timestamp::from_millis))
            .collect()
    }
}

impl Port {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            pending: Mutex::default(),
        }
    }

    /// What the call published becomes so: a second message of one type and key is not stored.
    pub(super) fn commit(&self) {
        let pending =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.world.state();
        for message in pending {
            if let Some(key) = &message.idempotency_key {
                let scope = (message.ty.clone(), key.clone());
                if state.keys.contains(&scope) {
                    continue;
                }
                state.keys.push(scope);
            }
            state.published.push(message);
        }
    }

    fn accept(&self, meta: &[u8], payloads: &[u8]) -> Result<PublishReply, FailureMeta> {
        let malformed = |error: &dyn std::fmt::Display| FailureMeta::new(error.to_string());
        let meta: PublishMeta = serde_json::from_slice(meta).map_err(|error| malformed(&error))?;
        let mut payloads = Fields::new(payloads);
        let mut receipts = Vec::new();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for item in meta.messages {
            let payload = payloads
                .next_bytes()
                .map_err(|error| malformed(&error))?
                .to_vec();
            receipts.push(ReceiptMeta {
                id: format!("test-{}", pending.len() + 1),
                duplicate: false,
            });
            pending.push(Published {
                ty: item.ty,
                idempotency_key: item.idempotency_key,
                deliver_at_ms: item.deliver_at_ms,
                payload,
            });
        }
        Ok(PublishReply { receipts })
    }
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = None;

    fn publish(self: Arc<Self>, meta: SharedBytes, payloads: SharedBytes) -> RawFuture {
        RawFuture::ready(match self.accept(&meta, &payloads) {
            Ok(reply) => Outcome {
                meta: json(&reply),
                ..Outcome::ok()
            },
            Err(failure) => Outcome::with_meta(outcome::REJECTED, failure.encode()),
        })
    }

    fn http(self: Arc<Self>, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        let Ok(meta) = HttpMeta::decode(&meta) else {
            let failure = FailureMeta::new("malformed request");
            return RawFuture::ready(Outcome::with_meta(outcome::REJECTED, failure.encode()));
        };
        let HttpMeta {
            method,
            url,
            headers,
            ..
        } = meta;
        let mut state = self.world.state();
        state.sent.push(Sent {
            method,
            url,
            headers,
            body: body.to_vec(),
        });
        let default = || {
            let head = ResponseMeta {
                status: 200,
                headers: Vec::new(),
            };
            Outcome {
                meta: head.encode(),
                body: SharedBytes::from_static(b"{}"),
                ..Outcome::ok()
            }
        };
        RawFuture::ready(state.replies.pop_front().unwrap_or_else(default))
    }

    fn sleep(self: Arc<Self>, time: Duration) -> RawFuture {
        let mut state = self.world.state();
        state.now_ms = state
            .now_ms
            .saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        RawFuture::ready(Outcome::ok())
    }

    fn now(&self) -> i64 {
        self.world.now()
    }

    fn ask(self: Arc<Self>, what: Code, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        let mut state = self.world.state();
        let now_ms = state.now_ms;
        RawFuture::ready(state.services.answer(what, &meta, body, now_ms))
    }

    fn tell(&self, what: Code, input: &[u8]) -> u64 {
        self.world.state().services.tell(what, input)
    }
}
