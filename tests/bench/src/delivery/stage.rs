//! Messages, handlers and the dispatcher that runs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use coordinator_context::{Reply, Running, Target};
use coordinator_dispatch::{DispatchOptions, Dispatcher};
use coordinator_journal::{Delivery, HandlerSpec, Journal, NewMessage};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use coordinator_wiring::HandlerTerms;
use tokio::sync::Notify;

use crate::Measures;

/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// So many at once for one handler.
const CONCURRENCY: u32 = 256;

/// What handlers count.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    acked: AtomicU64,
    expected: AtomicU64,
    done: Notify,
}

impl Counts {
    /// Waits until handlers have acked so many since the start.
    pub(crate) async fn reach(&self, expected: u64) {
        self.expected.store(expected, Ordering::SeqCst);
        while self.acked.load(Ordering::SeqCst) < expected {
            let done = self.done.notified();
            if self.acked.load(Ordering::SeqCst) < expected {
                done.await;
            }
        }
    }

    fn ack(&self) {
        let acked = self.acked.fetch_add(1, Ordering::SeqCst) + 1;
        if acked == self.expected.load(Ordering::SeqCst) {
            self.done.notify_one();
        }
    }
}

/// A handler that does nothing, or fails once for some messages.
struct Native {
    id: String,
    types: Vec<MessageType>,
    /// Of a hundred.
    failing: u64,
    first_attempts: AtomicU64,
    counts: Arc<Counts>,
    seen: Arc<dyn Fn(&Delivery) + Send + Sync>,
}

impl Native {
    /// Is this one of those that fail once? They are spread evenly: by chance twenty in a row would fail now and then, and
    /// open the handler's breaker.
    fn fails(&self, delivery: &Delivery) -> bool {
        if self.failing == 0 || delivery.attempt > 1 {
            return false;
        }
        let number = self.first_attempts.fetch_add(1, Ordering::Relaxed);
        number * self.failing / 100 != (number + 1) * self.failing / 100
    }
}

impl Target for Native {
    fn spec(&self) -> HandlerSpec {
        HandlerSpec::new(self.id.clone(), self.types.clone())
    }

    fn terms(&self) -> HandlerTerms {
        HandlerTerms {
            concurrency: CONCURRENCY,
            ..HandlerTerms::default()
        }
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        if self.fails(delivery) {
            let after = Some(Duration::from_millis(200));
            let chain = vec!["the LMS answered 503".to_owned()];
            return Box::pin(std::future::ready(Reply::Retry { after, chain }));
        }
        (self.seen)(delivery);
        self.counts.ack();
        Box::pin(std::future::ready(Reply::Ack { emits: Vec::new() }))
    }
}

/// The types of a case.
pub(crate) fn types(measures: &Measures) -> Vec<MessageType> {
    (0..measures.types.max(1))
        .map(|number| {
            format!("org.example.bench.type-{number}.v1")
                .parse()
                .expect("it is a message type")
        })
        .collect()
}

/// Handlers that each take every type, or share the types if there are more than a handler should have.
pub(crate) async fn dispatch(
    measures: &Measures,
    journal: Arc<dyn Journal>,
    counts: &Arc<Counts>,
    seen: Arc<dyn Fn(&Delivery) + Send + Sync>,
) -> Result<Dispatcher> {
    let types = types(measures);
    let targets = (0..measures.handlers)
        .map(|number| {
            let native = Native {
                id: format!("bench.handler-{number}"),
                types: types.clone(),
                failing: measures.failing,
                first_attempts: AtomicU64::new(0),
                counts: Arc::clone(counts),
                seen: Arc::clone(&seen),
            };
            Arc::new(native) as Arc<dyn Target>
        })
        .collect();
    Ok(Dispatcher::start(DispatchOptions::default(), journal, targets).await?)
}

/// Makes messages of 1 KiB, of one type after the other.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    types: Arc<Vec<MessageType>>,
    data: Bytes,
    keys: bool,
}

impl Maker {
    pub(crate) fn new(measures: &Measures) -> Self {
        Self {
            types: Arc::new(types(measures)),
            data: format!("\"{}\"", "x".repeat(PAYLOAD - 2)).into(),
            keys: measures.keys,
        }
    }

    pub(crate) fn make(&self, number: usize) -> NewMessage {
        let now = Timestamp::now();
        let id = MessageId::new(now);
        let ty = self.types[number % self.types.len()].clone();
        NewMessage {
            envelope: Envelope::new(id, ty, "/bench", now, self.data.clone()),
            publisher: "key/bench".to_owned(),
            idempotency_key: self.keys.then(|| id.to_string()),
            deliver_at: None,
        }
    }
}

/// Handlers that are open and take nothing, so that messages wait for them.
pub(crate) async fn open_idle(
    journal: &dyn Journal,
    id: &str,
    types: &[MessageType],
) -> Result<Box<dyn coordinator_journal::Deliveries>> {
    Ok(journal.open(HandlerSpec::new(id, types.to_vec())).await?)
}
