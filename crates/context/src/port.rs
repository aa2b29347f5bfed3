//! What is lent to one call: it publishes, calls out and sleeps for that call, and for nobody else.

mod ask;
mod calling;
mod keys;
mod publishing;
mod tell;
mod underway;

use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, HttpMeta, json};
use coordinator_abi::code::outcome;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::{Code, Lend, Outcome, RawFuture, SharedBytes};
use coordinator_cache::Cache;
use coordinator_egress::{Egress, HostPolicy};
use coordinator_journal::NewMessage;
use coordinator_message::{Timestamp, TraceParent};
use coordinator_telemetry::metric::PluginMeter;
use tokio::runtime::Handle;

use crate::flags::Flags;
use crate::outcomes::answered;
use crate::pipeline::Pipelines;
use crate::publish::Publisher;

pub(crate) use underway::Underway;

/// What the host lends through every port.
#[derive(Clone)]
pub struct Services {
    /// Takes messages.
    pub publisher: Publisher,
    /// Calls other systems.
    pub egress: Egress,
    /// Runs pipelines.
    pub pipelines: Arc<dyn Pipelines>,
    /// Flags of all plugins.
    pub flags: Arc<Flags>,
    /// Keeps values, locks and first times, for each instance in a space of its own.
    pub cache: Cache,
    /// Where outbound calls and timers run, whichever thread the plugin polls on.
    pub io: Handle,
}

/// What all calls of one instance share.
pub(crate) struct Shared {
    pub(crate) instance: String,
    pub(crate) services: Services,
    pub(crate) policy: Arc<HostPolicy>,
    /// As JSON, secrets resolved.
    pub(crate) settings: SharedBytes,
    pub(crate) meter: PluginMeter,
    /// Its space of the cache.
    pub(crate) cache: Cache,
}

/// One call's share.
pub(crate) struct Port {
    shared: Arc<Shared>,
    scope: Scope,
    trace: Option<TraceParent>,
    http_calls: AtomicU32,
    /// Pipelines that it has run.
    runs: AtomicU32,
    /// Pipelines that run each other, up to this call.
    depth: u32,
}

/// What the call is for.
pub(crate) enum Scope {
    /// A start, a stop, or a look at how it is: nothing can be published.
    Idle,
    /// A route, a command, or a step of what they run: what it publishes is durable when the publish returns.
    Route,
    /// A delivery, or a step of what it runs: what it publishes is kept until its ack.
    Delivery(Underway),
}

impl Port {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope, trace: Option<TraceParent>) -> Self {
        Self {
            shared,
            scope,
            trace,
            http_calls: AtomicU32::new(0),
            runs: AtomicU32::new(0),
            depth: 0,
        }
    }

    /// The same, within a pipeline.
    pub(crate) fn at_depth(self, depth: u32) -> Self {
        Self { depth, ..self }
    }

    /// Was an outbound call not made because a breaker is open? Then: for how long it stays so.
    pub(crate) fn turned_away(&self) -> Option<Duration> {
        self.underway().and_then(Underway::turned_away)
    }

    /// Ends a delivery: what it published so far. Later publishes are refused.
    pub(crate) fn end(&self) -> Vec<NewMessage> {
        self.underway().map(Underway::end).unwrap_or_default()
    }

    fn underway(&self) -> Option<&Underway> {
        match &self.scope {
            Scope::Delivery(underway) => Some(underway),
            Scope::Idle | Scope::Route => None,
        }
    }

    /// Polls inside the host's IO runtime, because a plugin may poll from a thread that has none.
    fn on_host(&self, call: impl Future<Output = Outcome> + Send + 'static) -> RawFuture {
        RawFuture::new(Entered {
            inner: Box::pin(call),
            io: self.shared.services.io.clone(),
        })
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
        let port = Arc::clone(&self);
        self.on_host(async move {
            let meta = match HttpMeta::decode(&meta) {
                Ok(meta) => meta,
                Err(error) => return refused(outcome::REJECTED, error.to_string()),
            };
            match port.call_out(meta, body.into_bytes()).await {
                Ok(response) => answered(response),
                Err(error) => port.unanswered(&error),
            }
        })
    }

    fn sleep(self: Arc<Self>, time: Duration) -> RawFuture {
        self.on_host(async move {
            tokio::time::sleep(time).await;
            Outcome::ok()
        })
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_millis()
    }

    fn ask(self: Arc<Self>, what: Code, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        self.asked(what, meta, body)
    }

    fn tell(&self, what: Code, input: &[u8]) -> u64 {
        self.told(what, input)
    }
}

fn refused(code: Code, text: impl Into<String>) -> Outcome {
    Outcome::with_meta(code, FailureMeta::new(text).encode())
}

/// See [`Port::on_host`].
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
