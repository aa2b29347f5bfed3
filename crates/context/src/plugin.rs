//! One generation of a plugin: started with its settings, asked to answer routes and handle messages, stopped once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, ResponseMeta, RouteFailure};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{Code, Instance, Manifest, Outcome, RawFuture, SharedBytes};
use coordinator_egress::HostPolicy;
use coordinator_loader::Loaded;
use coordinator_telemetry::metric::PluginMeter;

use crate::check::{LastWellness, Wellness};
use crate::in_flight::{InFlight, Pass};
use crate::port::{Port, Scope, Services, Shared};
use crate::target::{Answering, RouteFailed, RouteReply, RouteRequest, RouteTarget};

/// A running instance. Another file or other settings make another one of it, beside this.
pub struct Plugin {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    instance: Instance<Port>,
    wellness: LastWellness,
    in_flight: InFlight,
    stopped: AtomicBool,
}

/// A call in progress. Dropping it cancels it.
#[must_use = "a call does nothing until it is awaited"]
pub(crate) struct Calling {
    // Dropped first: what is cancelled is still inside.
    future: RawFuture,
    _pass: Option<Pass>,
}

/// What an instance is opened with.
pub struct Opening {
    /// Instance name.
    pub name: String,
    /// Its file.
    pub loaded: Arc<Loaded>,
    /// Its settings as JSON, secrets resolved.
    pub settings: serde_json::Value,
    /// Where it may call.
    pub policy: HostPolicy,
    /// What is lent to it.
    pub services: Services,
}

/// An instance did not start.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{name}` did not start: {}", chain.join(": "))]
pub struct StartError {
    name: String,
    chain: Vec<String>,
}

impl Plugin {
    /// Opens an instance and starts it.
    ///
    /// # Errors
    ///
    /// If it does not take its settings, or fails to start.
    pub async fn start(opening: Opening) -> Result<Arc<Self>, StartError> {
        let Opening {
            name,
            loaded,
            settings,
            policy,
            services,
        } = opening;
        let settings: SharedBytes = settings.to_string().into();
        let shared = Arc::new(Shared {
            meter: PluginMeter::new(&name),
            cache: services.cache.space(&format!("plugin:{name}")),
            instance: name,
            services,
            policy: Arc::new(policy),
            settings: settings.clone(),
        });
        let plugin = Self {
            instance: loaded.open(),
            shared,
            loaded,
            in_flight: InFlight::default(),
            wellness: LastWellness::default(),
            stopped: AtomicBool::new(false),
        };
        let port = Port::new(Arc::clone(&plugin.shared), Scope::Idle, None);
        let answer = plugin
            .call(op::START, 0, Arc::new(port), SharedBytes::new(), settings)
            .await;
        if answer.is_ok() {
            return Ok(Arc::new(plugin));
        }
        let chain = FailureMeta::of(&answer).chain;
        Err(StartError {
            name: plugin.shared.instance.clone(),
            chain,
        })
    }

    /// Instance name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.instance
    }

    /// Its file.
    #[must_use]
    pub fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.loaded.manifest()
    }

    /// Is it well?
    ///
    /// # Errors
    ///
    /// What it says instead, outermost first.
    pub async fn health(&self) -> Result<(), Vec<String>> {
        let port = Arc::new(Port::new(Arc::clone(&self.shared), Scope::Idle, None));
        let answer = self
            .call(op::HEALTH, 0, port, SharedBytes::new(), SharedBytes::new())
            .await;
        let said = if answer.is_ok() {
            Ok(())
        } else {
            Err(FailureMeta::of(&answer).chain)
        };
        self.wellness.set(&said);
        said
    }

    /// What it said when it was last asked whether it is well.
    #[must_use]
    pub fn wellness(&self) -> Option<Wellness> {
        self.wellness.get()
    }

    /// Keeps it from being stopped, for a use that is more than one call. `None` once its stop has begun: somebody
    /// else has taken its place.
    #[must_use]
    pub fn enter(&self) -> Option<Pass> {
        self.in_flight.enter()
    }

    /// How many routes, deliveries and other calls are inside.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    /// Waits until nothing runs in it. From then on nothing enters; what is left to do is to [`Self::stop`] it.
    pub async fn emptied(&self) {
        self.in_flight.close().await;
    }

    /// Ends it, once, whatever runs in it. Nothing enters from here on.
    pub async fn stop(&self) {
        self.in_flight.shut();
        if self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        let port = Arc::new(Port::new(Arc::clone(&self.shared), Scope::Idle, None));
        let answer = self
            .instance
            .call(op::STOP, 0, port, SharedBytes::new(), SharedBytes::new())
            .await;
        if !answer.is_ok() {
            let reason = FailureMeta::of(&answer).chain.join(": ");
            tracing::warn!(plugin.name = %self.name(), error = %reason, "plugin `{}` did not stop cleanly", self.name());
        }
    }

    pub(crate) fn last_wellness(&self) -> &LastWellness {
        &self.wellness
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn call(
        &self,
        op: Code,
        index: u32,
        port: Arc<Port>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Calling {
        match self.enter() {
            Some(pass) => Calling {
                future: self.instance.call(op, index, port, meta, body),
                _pass: Some(pass),
            },
            None => Calling {
                future: RawFuture::ready(ended(self.name())),
                _pass: None,
            },
        }
    }
}

fn ended(name: &str) -> Outcome {
    let failure = FailureMeta::new(format!("this generation of plugin `{name}` has ended"));
    Outcome::with_meta(outcome::UNAVAILABLE, failure.encode())
}

impl Future for Calling {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.future).poll(context)
    }
}

impl RouteTarget for Plugin {
    fn name(&self) -> &str {
        &self.shared.instance
    }

    fn enter(&self) -> Option<Pass> {
        Self::enter(self)
    }

    fn answer<'a>(&'a self, index: u32, request: RouteRequest<'a>) -> Answering<'a> {
        let port = Port::new(Arc::clone(&self.shared), Scope::Route, Some(request.trace));
        let meta = request.meta.encode_with(request.headers);
        let call = self.call(op::ROUTE, index, Arc::new(port), meta, request.body.into());
        Box::pin(async move { reply(call.await) })
    }
}

fn reply(answer: Outcome) -> RouteReply {
    match answer.code {
        outcome::OK => match ResponseMeta::decode(&answer.meta) {
            Ok(head) => RouteReply::Response {
                head,
                body: answer.body.into_bytes(),
            },
            Err(malformed) => internal(vec![malformed.to_string()]),
        },
        outcome::FAILED => RouteReply::Failed(failed(&answer)),
        outcome::UNAVAILABLE => RouteReply::Failed(RouteFailed {
            status: 503,
            code: "plugin-unavailable".to_owned(),
            detail: "the plugin behind this route is not running".to_owned(),
            after: Some(Duration::from_secs(5)),
            chain: FailureMeta::of(&answer).chain,
        }),
        _ => internal(FailureMeta::of(&answer).chain),
    }
}

/// What a route or a step says of its failure.
pub(crate) fn failed(answer: &Outcome) -> RouteFailed {
    match serde_json::from_slice::<RouteFailure>(&answer.meta) {
        Ok(failure) => RouteFailed {
            status: failure.status,
            code: failure.code,
            detail: failure.detail,
            after: failure.after_ms.map(Duration::from_millis),
            chain: failure.chain,
        },
        Err(_) => unexplained(FailureMeta::of(answer).chain),
    }
}

fn internal(chain: Vec<String>) -> RouteReply {
    RouteReply::Failed(unexplained(chain))
}

fn unexplained(chain: Vec<String>) -> RouteFailed {
    RouteFailed {
        status: 500,
        code: "internal".to_owned(),
        detail: String::new(),
        after: None,
        chain,
    }
}
