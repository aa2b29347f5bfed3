//! Runs a plugin on the other side of the boundary: one instance, its calls and its answers.

use std::sync::OnceLock;

use coordinator_abi::call::{FailureMeta, HandleMeta, json};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::manifest::Manifest;
use coordinator_abi::plugin::unsupported;
use coordinator_abi::{Call, Code, Host, Opened, Outcome, RawFuture, RouteView, Serve};

use crate::error::DecodeError;
use crate::plugin::Plugin;
use crate::settings::Settings;
use crate::{Context, HandlerError, Request, Response, RouteError, StartError, log, message};

/// One instance of plugin `P`.
#[doc(hidden)]
pub struct Served<P> {
    plugin: OnceLock<P>,
}

impl<P: Plugin> Serve for Served<P> {
    fn describe() -> String {
        let mut messages: Vec<_> = inventory::iter::<message::Known>()
            .map(|known| (known.describe)())
            .collect();
        messages.sort_by(|a, b| a.ty.cmp(&b.ty));
        let manifest = Manifest {
            name: P::IDENTITY.name.to_owned(),
            version: P::IDENTITY.version.to_owned(),
            sdk: P::IDENTITY.sdk.to_owned(),
            doc: P::DOC.to_owned(),
            settings: P::Settings::describe(),
            settings_schema: schemars::schema_for!(P::Settings).to_value(),
            messages,
            handlers: P::handlers(),
            routes: P::routes(),
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
        }
    }

    fn call(this: Opened<Self>, call: Call) -> RawFuture {
        match call.op {
            op::START => RawFuture::new(start(this, call)),
            op::HANDLE => RawFuture::new(handle(this, call)),
            op::ROUTE => RawFuture::new(route(this, call)),
            // Without hooks of its own a started plugin is well, and has nothing to stop.
            op::HEALTH => RawFuture::ready(health(&this)),
            op::STOP => RawFuture::ready(Outcome::ok()),
            other => RawFuture::ready(unsupported(other)),
        }
    }

    fn refresh_logs() {
        tracing_core::callsite::rebuild_interest_cache();
    }
}

async fn start<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let settings = match serde_json::from_slice::<P::Settings>(&call.body) {
        Ok(settings) => settings,
        Err(error) => {
            let error = StartError::from(DecodeError::new("settings", &error));
            return failed(outcome::REJECTED, error.into_chain());
        }
    };
    let ctx = Context::of_start(call.lent);
    match P::start(settings, &ctx).await {
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
    match plugin.handle(call.index, &ctx, &call.body).await {
        Ok(()) => Outcome::ok(),
        Err(error) => handler_failed(error),
    }
}

async fn route<P: Plugin>(this: Opened<Served<P>>, call: Call) -> Outcome {
    let Some(plugin) = this.plugin.get() else {
        return not_started();
    };
    let ctx = match RouteView::read(&call.meta) {
        Ok(view) => Context::of_route(call.lent, view.webhook_id.to_owned()),
        Err(malformed) => return route_failed(malformed.into()),
    };
    match plugin
        .route(call.index, &ctx, Request::new(call.meta, call.body))
        .await
    {
        Ok(response) => answered(response),
        Err(error) => route_failed(error),
    }
}

fn health<P: Plugin>(this: &Served<P>) -> Outcome {
    if this.plugin.get().is_some() {
        Outcome::ok()
    } else {
        not_started()
    }
}

fn answered(response: Response) -> Outcome {
    let (head, body) = response.into_parts();
    Outcome {
        code: outcome::OK,
        meta: head.encode(),
        body,
    }
}

fn handler_failed(error: HandlerError) -> Outcome {
    let (retry, after, chain) = error.into_parts();
    let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let code = if retry { outcome::RETRY } else { outcome::DEAD };
    Outcome::with_meta(code, FailureMeta { after_ms, chain }.encode())
}

fn route_failed(error: RouteError) -> Outcome {
    Outcome::with_meta(outcome::FAILED, json(&error.into_meta()))
}

fn failed(code: Code, chain: Vec<String>) -> Outcome {
    Outcome::with_meta(
        code,
        FailureMeta {
            after_ms: None,
            chain,
        }
        .encode(),
    )
}

fn not_started() -> Outcome {
    failed(
        outcome::UNAVAILABLE,
        vec!["the plugin is not started".to_owned()],
    )
}

/// Exports the header, without the author depending on `abi_stable`.
#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        use $crate::__private::abi_stable::library as __library;

        fn __root() -> $crate::__private::plugin::PluginTableRef {
            $crate::__private::plugin::table::<$crate::__private::Served<$plugin>>()
        }

        extern "C" fn __erased() -> __library::RootModuleResult {
            __library::__call_root_module_loader(__root)
        }

        // SAFETY: `__erased` returns what `__root` makes, a `PluginTableRef`.
        static __ROOT: __library::LibHeader = unsafe {
            __library::LibHeader::from_constructor::<$crate::__private::plugin::PluginTableRef>(
                __erased,
                __library::CheckTypeLayout::Yes,
            )
        };

        #[unsafe(no_mangle)]
        pub static COORDINATOR_PLUGIN: $crate::__private::header::PluginHeader =
            $crate::__private::header::PluginHeader::new(
                <$plugin as $crate::__private::Plugin>::IDENTITY,
                &__ROOT,
            );
    };
}
