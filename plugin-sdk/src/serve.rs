//! Runs a plugin on the other side of the boundary: one instance, its calls and its answers.

mod answer;
mod export;

use std::sync::OnceLock;

use coordinator_abi::call::HandleMeta;
use coordinator_abi::code::{op, outcome};
use coordinator_abi::manifest::{Flag, Manifest};
use coordinator_abi::plugin::unsupported;
use coordinator_abi::step::StepMeta;
use coordinator_abi::{Call, Host, Opened, Outcome, RawFuture, RouteView, Serve};

use crate::command::CommandFailed;
use crate::error::DecodeError;
use crate::plugin::Plugin;
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::{Context, Request, StartError, flags, log, message};
use answer::{failed, not_started};

/// One instance of plugin `P`.
#[doc(hidden)]
pub struct Served<P: Plugin> {
    plugin: OnceLock<P>,
    runtime: P::Runtime,
}

impl<P: Plugin> Serve for Served<P> {
    fn describe() -> String {
        let manifest = Manifest {
            name: P::IDENTITY.name.to_owned(),
            version: P::IDENTITY.version.to_owned(),
            sdk: P::IDENTITY.sdk.to_owned(),
            doc: P::DOC.to_owned(),
            settings: P::Settings::describe(),
            settings_schema: schemars::schema_for!(P::Settings).to_value(),
            messages: known_messages(),
            handlers: P::handlers(),
            routes: P::routes(),
            steps: P::steps(),
            schedules: P::schedules(),
            commands: P::commands(),
            checks: P::checks(),
            flags: known_flags(),
            hooks: P::HOOKS,
        };
        // Text, numbers and schemas: it always encodes.
        serde_json::to_string(&manifest).unwrap_or_default()
    }

    fn open(host: Host) -> Self {
        if let Some(log) = host.log() {
            log::install(log);
        }
        Self {
            plugin: OnceLock::new(),
            runtime: P::Runtime::default(),
        }
    }

    fn call(this: Opened<Self>, call: Call) -> RawFuture {
        match call.op {
            op::HANDLE => Self::run(this, |this| handle(this, call)),
            op::ROUTE => Self::run(this, |this| route(this, call)),
            op::STEP => Self::run(this, |this| step(this, call)),
            op::SCHEDULE => Self::run(this, |this| schedule(this, call)),
            op::COMMAND => Self::run(this, |this| command(this, call)),
            op::START => Self::run(this, |this| start(this, call)),
            op::CHECK => Self::run(this, |this| check(this, call)),
            op::HEALTH => Self::run(this, |this| health(this, call)),
            op::STOP => Self::run(this, |this| stop(this, call)),
            other => RawFuture::ready(unsupported(other)),
        }
    }

    fn refresh_logs() {
        tracing_core::callsite::rebuild_interest_cache();
    }
}

impl<P: Plugin> Served<P> {
    /// The call's future, inside of the plugin's runtime. It keeps the instance alive, and so the runtime.
    fn run<F>(this: Opened<Self>, call: impl FnOnce(Opened<Self>) -> F) -> RawFuture
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let entry = this.runtime.entry();
        P::Runtime::call(entry, call(this))
    }
}

impl<P: Plugin> Drop for Served<P> {
    fn drop(&mut self) {
        // The state may hold what needs its runtime to be dropped.
        let _inside = self.runtime.enter();
        drop(self.plugin.take());
    }
}

fn known_messages() -> Vec<coordinator_abi::manifest::Message> {
    let known = inventory::iter::<message::Known>();
    let mut messages: Vec<_> = known.map(|known| (known.describe)()).collect();
    messages.sort_by(|a, b| a.ty.cmp(&b.ty));
    messages
}

fn known_flags() -> Vec<Flag> {
    let known = inventory::iter::<flags::KnownFlags>();
    let mut flags: Vec<_> = known.flat_map(|known| (known.describe)()).collect();
    flags.sort_by(|a, b| a.name.cmp(&b.name));
    flags
}

async fn start<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let settings = match serde_json::from_slice::<P::Settings>(&call.body) {
        Ok(settings) => settings,
        Err(error) => {
            let error = StartError::from(DecodeError::new("settings", &error));
            return failed(outcome::REJECTED, error.into_chain());
        }
    };
    match P::start(settings, &Context::plain(call.lent)).await {
        Ok(plugin) => match this.plugin.set(plugin) {
            Ok(()) => Outcome::ok(),
            Err(_) => failed(
                outcome::FAILED,
                vec!["the instance was started before".to_owned()],
            ),
        },
        Err(error) => failed(outcome::FAILED, error.into_chain()),
    }
}

async fn handle<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let meta = match HandleMeta::decode(&call.meta) {
        Ok(meta) => meta,
        Err(malformed) => return failed(outcome::RETRY, vec![malformed.to_string()]),
    };
    let ctx = Context::of_handler(call.lent, meta);
    answer::handled(plugin.handle(call.index, &ctx, &call.body).await)
}

async fn route<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let ctx = match RouteView::read(&call.meta) {
        Ok(view) => Context::of_request(call.lent, view.webhook_id.to_owned()),
        Err(malformed) => return answer::routed(Err(malformed.into())),
    };
    let request = Request::new(call.meta, call.body);
    answer::routed(plugin.route(call.index, &ctx, request).await)
}

async fn step<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let ctx = match StepMeta::decode(&call.meta) {
        Ok(meta) => Context::of_request(call.lent, meta.run),
        Err(malformed) => return answer::stepped(Err(malformed.into())),
    };
    answer::stepped(plugin.step(call.index, &ctx, &call.body).await)
}

async fn schedule<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let meta = match HandleMeta::decode(&call.meta) {
        Ok(meta) => meta,
        Err(malformed) => return failed(outcome::RETRY, vec![malformed.to_string()]),
    };
    let ctx = Context::of_handler(call.lent, meta);
    answer::handled(plugin.schedule(call.index, &ctx).await)
}

async fn command<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let ctx = Context::plain(call.lent);
    match plugin.command(call.index, &ctx, &call.body).await {
        Ok(output) => answer::told(output),
        Err(CommandFailed::Arguments(chain)) => failed(outcome::REJECTED, chain),
        Err(CommandFailed::Failed(chain)) => failed(outcome::FAILED, chain),
    }
}

async fn check<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let ctx = Context::plain(call.lent);
    answer::found(plugin.check(call.index, &ctx).await)
}

async fn health<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    match plugin.health(&Context::plain(call.lent)).await {
        Ok(()) => Outcome::ok(),
        Err(error) => failed(outcome::UNAVAILABLE, error.into_chain()),
    }
}

async fn stop<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    // One that did not start has nothing to finish.
    if let Some(plugin) = this.plugin.get() {
        plugin.stop(&Context::plain(call.lent)).await;
    }
    Outcome::ok()
}
