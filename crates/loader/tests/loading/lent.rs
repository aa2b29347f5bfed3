//! What these tests lend to a plugin: a journal in memory, and a clock that stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator_abi::call::{
    FailureMeta, PublishMeta, PublishReply, ReceiptMeta, ResponseMeta, json,
};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::Fields;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::{Code, Lend, Outcome, RawFuture, SharedBytes};

/// One published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) ty: String,
    pub(crate) key: Option<String>,
    pub(crate) payload: String,
}

/// What is lent to a call.
#[derive(Default)]
pub(crate) struct Port {
    published: Mutex<Vec<Published>>,
    refuses: Option<Code>,
    /// What other systems answer; without it none may be called.
    answers: Option<&'static str>,
}

impl Port {
    /// A journal that takes nothing, for this reason.
    pub(crate) fn refusing(code: Code) -> Self {
        Self {
            refuses: Some(code),
            ..Self::default()
        }
    }

    /// Every other system answers 200 with this body.
    pub(crate) fn answering(body: &'static str) -> Self {
        Self {
            answers: Some(body),
            ..Self::default()
        }
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        self.published.lock().unwrap().clone()
    }

    fn accept(&self, meta: &[u8], payloads: &[u8]) -> Outcome {
        if let Some(code) = self.refuses {
            let failure = FailureMeta {
                after_ms: Some(5_000),
                chain: vec!["the journal takes nothing".to_owned()],
            };
            return Outcome::with_meta(code, failure.encode());
        }
        let meta: PublishMeta = serde_json::from_slice(meta).unwrap();
        let mut payloads = Fields::new(payloads);
        let mut receipts = Vec::new();
        for item in meta.messages {
            let payload = payloads.next_str().unwrap().to_owned();
            let mut published = self.published.lock().unwrap();
            receipts.push(ReceiptMeta {
                id: format!("message-{}", published.len()),
                duplicate: false,
            });
            published.push(Published {
                ty: item.ty,
                key: item.key,
                payload,
            });
        }
        Outcome::with_meta(outcome::OK, json(&PublishReply { receipts }))
    }
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = None;

    /// Pending at first, so that a waker crosses the boundary there and back.
    fn publish(self: Arc<Self>, meta: SharedBytes, payloads: SharedBytes) -> RawFuture {
        RawFuture::new(async move {
            tokio::task::yield_now().await;
            self.accept(&meta, &payloads)
        })
    }

    fn http(self: Arc<Self>, _: SharedBytes, _: SharedBytes) -> RawFuture {
        if let Some(body) = self.answers {
            let head = ResponseMeta {
                status: 200,
                headers: Vec::new(),
            };
            return RawFuture::ready(Outcome {
                code: outcome::OK,
                meta: head.encode(),
                body: SharedBytes::from_static(body.as_bytes()),
            });
        }
        let failure = FailureMeta::new("these plugins call nobody");
        RawFuture::ready(Outcome::with_meta(outcome::FORBIDDEN, failure.encode()))
    }

    fn sleep(self: Arc<Self>, _: Duration) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn now(&self) -> i64 {
        1_700_000_000_000
    }
}
