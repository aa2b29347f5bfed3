//! What the tests stand on: a journal on disk, targets made of closures, and patience.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coordinator_context::{HandlerTerms, Order, Reply, Running, Target};
use coordinator_dispatch::{DispatchOptions, Dispatcher, HandlerState, HandlerStatus};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    DeadLetter, DeadLetterQuery, Delivery, Durability, HandlerSpec, Journal, Limits, NewMessage,
    StartFrom, SystemClock,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use tempfile::TempDir;

pub(crate) const HAPPENED: &str = "org.example.thing.happened.v1";
pub(crate) const FOLLOWED: &str = "org.example.thing.followed.v1";

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A journal in a directory of its own.
pub(crate) struct Stage {
    pub(crate) journal: Arc<dyn Journal>,
    dir: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir).await;
        Self { journal, dir }
    }

    /// Closes the journal and opens it again, as a restart of the host would.
    pub(crate) async fn restart(self) -> Self {
        self.journal.close().await;
        drop(self.journal);
        let journal = open(&self.dir).await;
        Self {
            journal,
            dir: self.dir,
        }
    }

    pub(crate) async fn start(&self, targets: Vec<Arc<dyn Target>>) -> Dispatcher {
        self.start_with(DispatchOptions::default(), targets).await
    }

    pub(crate) async fn start_with(
        &self,
        options: DispatchOptions,
        targets: Vec<Arc<dyn Target>>,
    ) -> Dispatcher {
        Dispatcher::start(options, Arc::clone(&self.journal), targets)
            .await
            .unwrap()
    }

    /// Publishes `count` messages that happened and returns their ids.
    pub(crate) async fn publish(&self, count: usize) -> Vec<MessageId> {
        let batch = (0..count)
            .map(|_| happened(MessageId::new(Timestamp::now()), HAPPENED))
            .collect();
        self.journal
            .publish(batch)
            .await
            .unwrap()
            .into_iter()
            .map(|receipt| receipt.id)
            .collect()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetter> {
        let query = DeadLetterQuery {
            limit: 500,
            ..DeadLetterQuery::default()
        };
        self.journal.dead_letters(query).await.unwrap().items
    }

    /// Waits until there are `count` dead letters.
    pub(crate) async fn dead(&self, count: usize) -> Vec<DeadLetter> {
        eventually("dead letters", async || {
            let dead = self.dead_letters().await;
            (dead.len() >= count).then_some(dead)
        })
        .await
    }

    /// Waits until `handler` has settled everything.
    pub(crate) async fn settled(&self, handler: &str) {
        eventually("everything settled", async || {
            let stats = self.journal.stats().await.unwrap();
            stats
                .handlers
                .iter()
                .any(|row| row.handler == handler && row.lag == 0)
                .then_some(())
        })
        .await;
    }
}

async fn open(dir: &TempDir) -> Arc<dyn Journal> {
    let options = SqliteOptions {
        dir: dir.path().to_owned(),
        durability: Durability::Relaxed,
        limits: Limits {
            retention: Duration::from_secs(3600),
            max_size: 1 << 30,
            max_backlog: 100_000,
            ..Limits::default()
        },
        clock: Arc::new(SystemClock),
    };
    Arc::new(SqliteJournal::open(options).await.unwrap())
}

pub(crate) fn happened(id: MessageId, ty: &str) -> NewMessage {
    NewMessage {
        envelope: Envelope::new(
            id,
            ty.parse().unwrap(),
            "/test",
            Timestamp::now(),
            Bytes::from_static(b"{}"),
        ),
        publisher: "key/test".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

/// A message with an ordering key.
pub(crate) fn keyed(key: &str) -> NewMessage {
    let mut message = happened(MessageId::new(Timestamp::now()), HAPPENED);
    message.envelope.key = Some(key.to_owned());
    message
}

/// Terms for tests: retries within milliseconds, and no breaker.
pub(crate) fn brisk() -> HandlerTerms {
    HandlerTerms {
        max_attempts: 100,
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        timeout: Duration::from_secs(30),
        breaker: None,
        ..HandlerTerms::default()
    }
}

struct Closure<F> {
    id: String,
    ty: &'static str,
    terms: HandlerTerms,
    deliver: F,
}

impl<F> Target for Closure<F>
where
    F: Fn(Delivery) -> Running + Send + Sync + 'static,
{
    fn spec(&self) -> HandlerSpec {
        HandlerSpec {
            from: StartFrom::Earliest,
            order: self.terms.order == Order::Key,
            ..HandlerSpec::new(self.id.clone(), vec![self.ty.parse().unwrap()])
        }
    }

    fn terms(&self) -> HandlerTerms {
        self.terms.clone()
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        (self.deliver)(delivery.clone())
    }
}

/// A handler of messages that happened.
pub(crate) fn target<F, R>(id: &str, terms: HandlerTerms, deliver: F) -> Arc<dyn Target>
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    target_of(HAPPENED, id, terms, deliver)
}

/// A handler of messages of type `ty`.
pub(crate) fn target_of<F, R>(
    ty: &'static str,
    id: &str,
    terms: HandlerTerms,
    deliver: F,
) -> Arc<dyn Target>
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let deliver = move |delivery| -> Running { Box::pin(deliver(delivery)) };
    Arc::new(Closure {
        id: id.to_owned(),
        ty,
        terms,
        deliver,
    })
}

/// What handlers were called with, in order.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<(MessageId, u32)>>>);

impl Calls {
    /// Notes message and attempt.
    pub(crate) fn note(&self, delivery: &Delivery) {
        self.0
            .lock()
            .unwrap()
            .push((delivery.message.id, delivery.attempt));
    }

    pub(crate) fn all(&self) -> Vec<(MessageId, u32)> {
        self.0.lock().unwrap().clone()
    }

    /// Attempts on one message, in order.
    pub(crate) fn attempts_on(&self, id: MessageId) -> Vec<u32> {
        self.all()
            .into_iter()
            .filter(|(called, _)| *called == id)
            .map(|(_, attempt)| attempt)
            .collect()
    }

    /// Waits until there were `count` calls.
    pub(crate) async fn reach(&self, count: usize) {
        eventually("calls", async || (self.all().len() >= count).then_some(())).await;
    }
}

/// A handler that acks everything after having waited on the runtime's timer, and notes it.
pub(crate) fn steady(id: &str, calls: &Calls) -> Arc<dyn Target> {
    let calls = calls.clone();
    target(id, brisk(), move |delivery| {
        let calls = calls.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            calls.note(&delivery);
            ack()
        }
    })
}

pub(crate) fn ack() -> Reply {
    Reply::Ack { emits: Vec::new() }
}

pub(crate) fn retry(why: &str) -> Reply {
    Reply::Retry {
        after: None,
        chain: vec![why.to_owned()],
    }
}

pub(crate) fn status(dispatcher: &Dispatcher, id: &str) -> HandlerStatus {
    dispatcher
        .handlers()
        .into_iter()
        .find(|status| status.id == id)
        .unwrap()
}

/// Waits until a handler is in this state.
pub(crate) async fn in_state(
    dispatcher: &Dispatcher,
    id: &str,
    state: HandlerState,
) -> HandlerStatus {
    eventually("the state of a handler", async || {
        let status = status(dispatcher, id);
        (status.state == state).then_some(status)
    })
    .await
}

/// Asks again and again until there is an answer; fails the test when patience runs out.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
