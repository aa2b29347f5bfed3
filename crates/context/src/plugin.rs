//! One running instance of a plugin: started with its settings, asked to answer routes and handle messages.

use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, ResponseMeta, RouteFailure};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{Code, Instance, Manifest, Outcome, RawFuture, SharedBytes};
use coordinator_egress::HostPolicy;
use coordinator_loader::Loaded;

use crate::port::{Port, Scope, Services, Shared};
use crate::target::{Answering, RouteFailed, RouteReply, RouteRequest, RouteTarget};

/// A running instance.
pub struct Plugin {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    instance: Instance<Port>,
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
        let shared = Arc::new(Shared {
            instance: name,
            services,
            policy: Arc::new(policy),
        });
        let plugin = Self {
            instance: loaded.open(),
            shared,
            loaded,
        };
        let port = Port::new(Arc::clone(&plugin.shared), Scope::Start, None);
        let settings = settings.to_string().into();
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
        let port = Arc::new(Port::new(Arc::clone(&self.shared), Scope::Start, None));
        let answer = self
            .call(op::HEALTH, 0, port, SharedBytes::new(), SharedBytes::new())
            .await;
        if answer.is_ok() {
            Ok(())
        } else {
            Err(FailureMeta::of(&answer).chain)
        }
    }

    /// Ends it. Nothing may be called after it.
    pub async fn stop(&self) {
        let port = Arc::new(Port::new(Arc::clone(&self.shared), Scope::Start, None));
        let answer = self
            .call(op::STOP, 0, port, SharedBytes::new(), SharedBytes::new())
            .await;
        if !answer.is_ok() {
            let reason = FailureMeta::of(&answer).chain.join(": ");
            tracing::warn!(plugin.name = %self.name(), error = %reason, "plugin `{}` did not stop cleanly", self.name());
        }
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
    ) -> RawFuture {
        self.instance.call(op, index, port, meta, body)
    }
}

impl RouteTarget for Plugin {
    fn name(&self) -> &str {
        &self.shared.instance
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
        outcome::FAILED => match serde_json::from_slice::<RouteFailure>(&answer.meta) {
            Ok(failure) => RouteReply::Failed(RouteFailed {
                status: failure.status,
                code: failure.code,
                detail: failure.detail,
                after: failure.after_ms.map(Duration::from_millis),
                chain: failure.chain,
            }),
            Err(_) => internal(FailureMeta::of(&answer).chain),
        },
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

fn internal(chain: Vec<String>) -> RouteReply {
    RouteReply::Failed(RouteFailed {
        status: 500,
        code: "internal".to_owned(),
        detail: String::new(),
        after: None,
        chain,
    })
}
