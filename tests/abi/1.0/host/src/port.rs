//! What this host lends: a journal in memory, a system that answers every call, a clock that stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator_abi::call::{HttpMeta, PublishMeta, PublishReply, ReceiptMeta, ResponseMeta, json};
use coordinator_abi::code::outcome;
use coordinator_abi::fields::Fields;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::{Lend, Outcome, RawFuture, SharedBytes};
use serde_json::Value;

/// What is lent to every call.
#[derive(Default)]
pub struct Port {
    published: Mutex<Vec<Value>>,
}

impl Port {
    /// What was published since it was last asked.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.published.lock().expect("nobody panics here"))
    }
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = None;

    fn publish(self: Arc<Self>, meta: SharedBytes, payloads: SharedBytes) -> RawFuture {
        let meta: PublishMeta = serde_json::from_slice(&meta).expect("it is JSON");
        let mut payloads = Fields::new(&payloads);
        let mut receipts = Vec::new();
        for item in meta.messages {
            let payload = payloads.next_str().expect("a payload");
            let payload: Value = serde_json::from_str(payload).expect("it is JSON");
            let published =
                serde_json::json!({ "type": item.ty, "key": item.key, "payload": payload });
            self.published
                .lock()
                .expect("nobody panics here")
                .push(published);
            receipts.push(ReceiptMeta {
                id: "0190-p".to_owned(),
                duplicate: false,
            });
        }
        RawFuture::ready(Outcome::with_meta(
            outcome::OK,
            json(&PublishReply { receipts }),
        ))
    }

    fn http(self: Arc<Self>, meta: SharedBytes, _: SharedBytes) -> RawFuture {
        let meta = HttpMeta::decode(&meta).expect("a request");
        let head = ResponseMeta {
            status: 200,
            headers: Vec::new(),
        };
        RawFuture::ready(Outcome {
            code: outcome::OK,
            meta: head.encode(),
            body: format!("{{\"receipt\":\"{} {}\"}}", meta.method, meta.url).into(),
        })
    }

    fn sleep(self: Arc<Self>, _: Duration) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn now(&self) -> i64 {
        1_700_000_000_000
    }
}
