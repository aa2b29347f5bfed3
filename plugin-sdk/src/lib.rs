#![doc = include_str!("../README.md")]
//!
//! # The room
//!
//! In: an author's settings struct and impl block. Out: a plugin that any host of this ABI loads.
//! Not here: the host. This crate sees it only through `abi`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod blocking;
mod cache;
mod check;
mod command;
mod context;
mod error;
mod extract;
mod flags;
mod http;
mod lock;
mod log;
mod message;
mod metrics;
mod plugin;
mod publish;
mod run;
mod runtime;
#[doc(hidden)]
pub mod section;
mod serve;
mod service;
mod settings;
mod step;
pub mod testing;

pub use blocking::BlockingError;
pub use cache::{Cache, CacheError};
pub use check::{Finding, HealthError, Severity};
pub use command::{CommandError, IntoOutput, Output};
pub use context::{Context, MessageInfo};
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
///
/// /// Where a learner lives.
/// #[data]
/// pub struct Address {
///     pub city: String,
///     pub country: Option<String>,
/// }
///
/// /// A learner has moved.
/// #[message("org.example.learner.moved.v1", key = "learner")]
/// pub struct Moved {
///     pub learner: String,
///     pub to: Address,
/// }
///
/// # #[plugin] impl Plugin {
/// /// Takes the new address.
/// #[route(post, "/addresses/{learner}", auth = public)]
/// async fn moved(&self, ctx: &Context, to: Json<Address>) -> Result<Json<Address>, RouteError> {
///     tracing::info!(abroad = to.0.country.is_some(), "a learner has moved");
///     Ok(to)
/// }
/// # }
/// ```
pub use coordinator_macros::data;
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// Switches of the shop.
/// #[flags]
/// pub struct Switches {
///     /// Sends buyers to the new checkout.
///     new_checkout: bool,
///     /// Takes orders at all.
///     #[flag(default = true)]
///     open: bool,
/// }
///
/// fn way(ctx: &Context) -> &'static str {
///     match (ctx.flag(Switches::OPEN), ctx.flag(Switches::NEW_CHECKOUT)) {
///         (false, _) => "closed",
///         (true, true) => "new",
///         (true, false) => "old",
///     }
/// }
/// ```
pub use coordinator_macros::flags;
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// An order was placed. All events of one order are in order, also those of other types of the lane.
/// #[message("org.example.order.placed.v1", key = "number", lane = "orders")]
/// pub struct OrderPlaced {
///     pub number: String,
///     pub total: Money,
///     pub placed: Timestamp,
/// }
///
/// assert_eq!((OrderPlaced::TYPE, OrderPlaced::LANE), ("org.example.order.placed.v1", Some("orders")));
/// ```
pub use coordinator_macros::message;
/// One of each:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
///
/// /// Somebody asked for a course.
/// #[message("org.example.course.asked.v1", key = "course")]
/// pub struct Asked {
///     pub course: String,
/// }
///
/// /// Settings.
/// #[settings]
/// pub struct Settings {
///     /// Root of the catalogue.
///     catalogue_url: Url,
/// }
///
/// /// What the settings become.
/// pub struct Courses {
///     settings: Settings,
///     asked: AtomicU64,
/// }
///
/// #[plugin]
/// impl Courses {
///     #[start]
///     async fn start(settings: Settings, _ctx: &Context) -> Result<Self, StartError> {
///         Ok(Self { settings, asked: AtomicU64::new(0) })
///     }
///
///     /// Somebody asks for a course.
///     #[route(post, "/ask", auth = public)]
///     async fn ask(&self, ctx: &Context, asked: Json<Asked>) -> Result<Response, RouteError> {
///         ctx.publish(asked.0).await?;
///         Ok(Response::accepted())
///     }
///
///     /// Tells the catalogue.
///     #[handler(max_attempts = 8, backoff = "2s..15m", order = "key")]
///     async fn tell(&self, ctx: &Context, asked: Asked) -> Result<(), HandlerError> {
///         ctx.http().post(&self.settings.catalogue_url).json(&asked).send().await?.error_for_status()?;
///         self.asked.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
///
///     /// Adds a greeting to a list.
///     #[step("org.example.greetings.v1", timeout = "2s")]
///     async fn greet(&self, _ctx: &Context, mut list: Vec<String>) -> Result<Flow<Vec<String>>, StepError> {
///         list.push("hello".to_owned());
///         Ok(Flow::Continue(list))
///     }
///
///     /// Begins to count anew each night.
///     #[schedule("0 3 * * *", zone = "Europe/Berlin")]
///     async fn nightly(&self, _ctx: &Context) -> Result<(), HandlerError> {
///         self.asked.store(0, Ordering::Relaxed);
///         Ok(())
///     }
///
///     /// Says how often somebody asked.
///     #[command]
///     async fn count(&self, _ctx: &Context) -> Result<String, CommandError> {
///         Ok(self.asked.load(Ordering::Relaxed).to_string())
///     }
///
///     /// Looks at the settings.
///     #[check]
///     async fn encrypted(&self, _ctx: &Context) -> Vec<Finding> {
///         match self.settings.catalogue_url.scheme() {
///             "https" => Vec::new(),
///             _ => vec![Finding::warning("courses.not-encrypted", "`catalogue_url` is not https")],
///         }
///     }
///
///     #[health]
///     async fn health(&self, ctx: &Context) -> Result<(), HealthError> {
///         ctx.http().get(&self.settings.catalogue_url).send().await?.error_for_status()?;
///         Ok(())
///     }
///
///     #[stop]
///     async fn stop(&self, _ctx: &Context) {
///         tracing::info!(asked = self.asked.load(Ordering::Relaxed), "nobody asks any more");
///     }
/// }
///
/// let host = Host::<Courses>::new(serde_json::json!({"catalogue_url": "https://courses.test"}));
/// assert_eq!(host.call(Call::post("/ask").json(&serde_json::json!({"course": "C1"}))).status, 202);
/// host.deliver(&host.published::<Asked>()[0]).unwrap();
/// assert_eq!(host.command("count", &()).unwrap().text(), "1");
/// host.schedule("nightly").unwrap();
/// assert_eq!(host.command("count", &()).unwrap().text(), "0");
/// assert_eq!(host.step::<_, Vec<String>>("greet", &["hi"]).unwrap().into_value(), ["hi", "hello"]);
/// assert!(host.check().is_empty() && host.health().is_ok() && host.stop().is_ok());
/// ```
pub use coordinator_macros::plugin;
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// Settings of the catalogue.
/// #[settings]
/// pub struct Catalogue {
///     /// Root of its API. The host lets the plugin call this origin.
///     base_url: Url,
///     /// Its token: `env:NAME` or `file:PATH`.
///     token: Secret,
///     /// Courses in one request.
///     #[setting(default = 50_u32)]
///     page: u32,
///     /// Only courses of this organisation.
///     organisation: Option<String>,
/// }
/// # fn all(c: &Catalogue) -> (&Url, &Secret, u32, &Option<String>) { (&c.base_url, &c.token, c.page, &c.organisation) }
/// ```
pub use coordinator_macros::settings;
/// ```
/// use coordinator_sdk::prelude::*;
///
/// let price = Money::new(14_900, "USD".parse().unwrap());
/// assert_eq!(serde_json::to_value(&price).unwrap(), serde_json::json!({"minor": 14_900, "currency": "USD"}));
/// ```
pub use coordinator_message::Money;
/// ```
/// use coordinator_sdk::prelude::*;
/// use std::time::Duration;
///
/// let placed = Timestamp::parse("2026-01-31T09:30:00Z").unwrap();
/// let (hour, due) = (Duration::from_secs(3600), placed.after(Duration::from_secs(3600)));
/// assert_eq!((due.since(placed), due.before(hour)), (hour, placed));
/// assert_eq!(Timestamp::from_millis(placed.as_millis()).to_string(), "2026-01-31T09:30:00Z");
/// assert!(Timestamp::now() > placed); // in a plugin, `ctx.now()` is the host's clock
/// ```
pub use coordinator_message::Timestamp;
/// ```
/// use coordinator_sdk::prelude::*;
///
/// let yen: Currency = "JPY".parse().unwrap();
/// assert_eq!((yen.as_str(), yen.exponent()), ("JPY", 0));
/// assert_eq!("KWD".parse::<Currency>().unwrap().exponent(), 3);
/// assert!("dollars".parse::<Currency>().is_err());
/// ```
pub use coordinator_message::money::Currency;
pub use error::{Decide, DecodeError, HandlerError, RouteError, StartError};
pub use extract::{FromRequest, IntoResponse, Json, Request, Response};
pub use flags::Flag;
pub use http::{Http, HttpError, HttpRequest, HttpResponse, StatusError};
pub use lock::{Lock, LockError};
pub use message::Message;
pub use metrics::{Counter, Gauge, Histogram, Metrics};
pub use publish::{Publish, PublishError, Receipt};
pub use run::{Missing, Ran, RunError};
pub use settings::{Secret, SettingsError};
pub use step::{Flow, StepError};

/// What a plugin's source begins with: `use coordinator_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        CommandError, Context, Currency, Decide, Finding, Flow, HandlerError, HealthError, Json,
        Message, Money, Request, Response, RouteError, Secret, Severity, StartError, StepError,
        Timestamp, data, flags, message, plugin, settings,
    };
    #[doc(hidden)]
    pub use coordinator_macros::{
        check, command, handler, health, route, schedule, start, step, stop,
    };
    pub use serde_json;
    pub use tracing;
    pub use url::Url;
}

/// For the macros. Not part of the promise.
#[doc(hidden)]
pub mod __private {
    pub use coordinator_abi::header::Identity;
    pub use coordinator_abi::{ABI, abi_stable, header, manifest, plugin};
    pub use inventory;
    pub use schemars;
    pub use serde;
    pub use serde_json;

    pub use crate::check::no_check;
    pub use crate::command::{CommandFailed, IntoOutput, decode_arguments, no_command};
    pub use crate::export_plugin;
    pub use crate::flags::KnownFlags;
    pub use crate::message::{Known, describe as describe_message};
    pub use crate::needs_tokio;
    pub use crate::plugin::{Plugin, decode, no_handler, no_route, no_schedule};
    pub use crate::runtime::{NoRuntime, TokioRuntime};
    pub use crate::section;
    pub use crate::serve::Served;
    pub use crate::settings::{Settings, is_secret};
    pub use crate::step::{Stepped, answer_schema, data_schema, decode_step, encode_step, no_step};

    /// Version of this SDK.
    pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
    /// The compiler.
    pub const RUSTC: &str = env!("COORDINATOR_RUSTC");
    /// The target.
    pub const TARGET: &str = env!("COORDINATOR_TARGET");
}
