//! The attribute macros of the SDK. Authors use them through `coordinator_sdk::prelude`.
//!
//! In: the author's structs and one impl block. Out: the same items, plus the manifest, the ELF section's lines
//! and the exported header. Not here: what runs at the boundary (see `sdk::serve`).
//! Attribute macros and not derives, because they can add `#[serde(crate = …)]`: a plugin needs one dependency.
#![forbid(unsafe_code)]

mod alone;
mod check;
mod command;
mod cron;
mod data;
mod docs;
mod duration;
mod flags;
mod handler;
mod item;
mod leads_to;
mod message;
mod method;
mod name;
mod options;
mod plugin;
mod route;
mod row;
mod schedule;
mod settings;
mod signature;
mod step;
mod terms;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Turns an impl block into a plugin: its methods with an attribute of these become the plugin's surface.
///
/// The type is the plugin's settings (see [`macro@settings`]), or a state that a `#[start]` function makes of them:
///
/// - `#[start] async fn start(settings: S, ctx: &Context) -> Result<Self, StartError>`
/// - `#[handler] async fn name(&self, ctx: &Context, message: M) -> Result<(), HandlerError>`, with the options
///   `max_attempts = 8`, `backoff = "2s..15m"` (or `"1s, 10s, 5m"`), `timeout = "30s"`, `concurrency = 16`,
///   `rate = "100/s"` (on each node), `order = "key"`, and with it `on_exhausted = "dead-letter"`, `"hold-key"` or
///   `"dead-letter-key"`; `emits = [Message, …]` and `runs = ["org.example.pipeline.v1", …]` declare what it leads to
/// - `#[route(post, "/path", ACCESS)] async fn name(&self, ctx: &Context, request: R) -> Result<Response, RouteError>`
///   where `R` is `Request` or `Json<T>` (or is left out), ACCESS is `verify = SCHEME(setting, key = literal)`,
///   `auth = public` or `auth = key("scope")`, and the option `body_limit = "64KiB"` may follow
/// - `#[step("org.example.pipeline.v1", timeout = "2s")] async fn name(&self, ctx: &Context, value: In) ->
///   Result<Flow<Out>, StepError>`, with the options `emits` and `runs` of a handler
/// - `#[schedule("0 3 * * *", zone = "Europe/Berlin")] async fn name(&self, ctx: &Context) -> Result<(), HandlerError>`,
///   with the options `max_attempts`, `backoff` and `timeout` of a handler
/// - `#[command] async fn name(&self, ctx: &Context, arguments: A) -> Result<O, CommandError>`, where `A` is `#[data]` (or
///   is left out) and `O` is `String`, `Json<T>` or `()`; `#[command(timeout = "10m")]`
/// - `#[check] async fn name(&self, ctx: &Context) -> Vec<Finding>`
/// - `#[health] async fn health(&self, ctx: &Context) -> Result<(), HealthError>`
/// - `#[stop] async fn stop(&self, ctx: &Context)`
///
/// `#[plugin(tokio)]` polls all of them inside of a tokio runtime of the instance's own; it needs the feature `tokio`.
/// Everything that the manifest names needs a doc comment: operators read it.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    item::implementation(item)
        .and_then(|item| plugin::expand(options.into(), item))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Declares a message type: `#[message("org.example.thing.happened.v1", key = "field", lane = "name")]`.
///
/// `key` names the field that orders messages within their lane; `lane` defaults to the type.
#[proc_macro_attribute]
pub fn message(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    item::structure(item, "message")
        .and_then(|item| message::expand(options.into(), item))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Declares a type that is nested in messages, or is the body of a route.
#[proc_macro_attribute]
pub fn data(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    data::expand(options.into(), item)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Declares flags: switches that operators turn while the plugin runs. Each field is a `bool` with a doc comment, off
/// unless `#[flag(default = true)]` says otherwise, and becomes a constant: field `new_checkout` of `Switches` is read as
/// `ctx.flag(Switches::NEW_CHECKOUT)`.
#[proc_macro_attribute]
pub fn flags(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    item::structure(item, "flags")
        .and_then(|item| flags::expand(options.into(), &item))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Declares a plugin's settings. Every field needs a doc comment; `#[setting(default = EXPR)]` makes it optional.
#[proc_macro_attribute]
pub fn settings(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    item::structure(item, "settings")
        .and_then(|item| settings::expand(options.into(), item))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// The attributes of methods, which `#[plugin]` reads and takes away. One that is expanded stands somewhere else.
macro_rules! of_plugin {
    ($($name:ident)*) => {$(
        #[doc(hidden)]
        #[proc_macro_attribute]
        pub fn $name(_options: TokenStream, item: TokenStream) -> TokenStream {
            alone::expand(stringify!($name), item.into()).into()
        }
    )*};
}

of_plugin! { check command handler health route schedule start step stop }
