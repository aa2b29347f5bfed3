//! Tests a plugin with no server: a host in the test's own process, across the real boundary.
//!
//! ```
//! use coordinator_sdk::prelude::*;
//! use coordinator_sdk::testing::{Call, Host};
//!
//! /// A learner paid.
//! #[message("org.example.payment.received.v1")]
//! pub struct Paid {
//!     pub learner: String,
//! }
//!
//! /// Settings.
//! #[settings]
//! pub struct Lms {
//!     /// Enrolment endpoint.
//!     enrolment_url: Url,
//! }
//!
//! #[plugin]
//! impl Lms {
//!     /// Takes a payment.
//!     #[route(post, "/paid", auth = public)]
//!     async fn paid(&self, ctx: &Context, paid: Json<Paid>) -> Result<Response, RouteError> {
//!         ctx.publish(paid.0).idempotency_key(ctx.webhook_id()).await?;
//!         Ok(Response::accepted())
//!     }
//!
//!     /// Enrols.
//!     #[handler]
//!     async fn enrol(&self, ctx: &Context, paid: Paid) -> Result<(), HandlerError> {
//!         ctx.http().post(&self.enrolment_url).json(&paid).send().await?.error_for_status()?;
//!         Ok(())
//!     }
//! }
//!
//! let host = Host::<Lms>::new(serde_json::json!({"enrolment_url": "http://lms.test/enrol"}));
//! let answer = host.call(Call::post("/paid").json(&serde_json::json!({"learner": "ada"})));
//! assert_eq!(answer.status, 202);
//! let paid: Vec<Paid> = host.published();
//!
//! host.reply(503);
//! assert!(host.deliver(&paid[0]).unwrap_err().is_retry());
//! host.deliver(&paid[0]).unwrap();
//! assert_eq!(host.requests().len(), 2);
//! ```

mod answer;
mod asked;
mod block_on;
mod call;
mod calling;
mod path;
mod port;
mod services;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::call::FailureMeta;
use coordinator_abi::code::op;
use coordinator_abi::manifest::Manifest;
use coordinator_abi::plugin::{describe, table};
use coordinator_abi::{Instance, Outcome, SharedBytes};

use crate::plugin::Plugin;
use crate::serve::Served;
use crate::{Message, Timestamp};
pub use answer::{Answer, Failed, StepFailed, Told};
use block_on::block_on;
pub use call::Call;
pub use port::Sent;
use port::{Port, World};

/// A host for one plugin, in the test's own process. See the [module](self) for how a test begins.
///
/// The world around the plugin, as a test sets it, and what came of it:
///
/// ```
/// use std::time::Duration;
///
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
///
/// /// A price has changed.
/// #[message("org.example.price.changed.v1", key = "course")]
/// pub struct Changed {
///     pub course: String,
/// }
///
/// /// Settings.
/// #[settings]
/// pub struct Prices {
///     /// The price list.
///     url: Url,
/// }
///
/// #[plugin]
/// impl Prices {
///     /// The price of a course, asked for once an hour.
///     #[route(get, "/prices/{course}", auth = public)]
///     async fn price(&self, ctx: &Context, request: Request) -> Result<Json<u32>, RouteError> {
///         let course = request.param("course").unwrap_or_default();
///         if let Some(price) = ctx.cache().get(course).await? {
///             return Ok(Json(price));
///         }
///         let price = ctx.http().get(&self.url).send().await?.error_for_status()?.json()?;
///         ctx.cache().set(course, &price, Duration::from_secs(3600)).await?;
///         ctx.metrics().counter("asked").label("list", "shop").add(1);
///         let changed = Changed { course: course.to_owned() };
///         ctx.publish(changed).deliver_after(Duration::from_secs(60)).await?;
///         Ok(Json(price))
///     }
///
///     /// Writes the list anew, one at a time.
///     #[schedule("0 3 * * *")]
///     async fn nightly(&self, ctx: &Context) -> Result<(), HandlerError> {
///         let _lock = ctx.lock("list", Duration::from_secs(60)).await?;
///         let list: Vec<u32> = ctx.run("org.example.list.v1", &()).await?;
///         tracing::info!(courses = list.len(), "wrote the list anew");
///         Ok(())
///     }
/// }
///
/// let host = Host::<Prices>::new(serde_json::json!({"url": "http://prices.test"}));
/// let price = || host.call(Call::get("/prices/C1"));
/// host.set_now(Timestamp::parse("2026-01-31T09:30:00Z").unwrap());
/// host.cut(); // no answer
/// assert_eq!(price().status, 500);
/// host.reply_with(200, &[("x-page", "1")], &serde_json::json!(49));
/// assert_eq!(price().body, b"49");
/// assert_eq!((host.cached::<u32>("C1"), host.metric("asked", &[("list", "shop")])), (Some(49), Some(1.0)));
/// assert_eq!((host.published::<Changed>().len(), host.deliver_times::<Changed>().len()), (1, 1));
/// host.advance(Duration::from_secs(3601));
/// assert_eq!(host.cached::<u32>("C1"), None);
/// host.reply(404);
/// assert_eq!(price().status, 500);
/// host.without_cache();
/// assert_eq!(price().status, 503);
/// assert_eq!(host.requests().len(), 3);
///
/// let host = Host::<Prices>::new(serde_json::json!({"url": "http://prices.test"}));
/// host.pipeline_without("org.example.list.v1", &[49, 59], &["shop.prices"]);
/// assert!(host.schedule("nightly").is_ok());
/// host.pipeline("org.example.list.v1", "not a list");
/// assert!(host.schedule("nightly").is_err());
/// host.hold("list");
/// assert!(host.schedule("nightly").unwrap_err().is_retry());
/// ```
pub struct Host<P: Plugin> {
    instance: Instance<Port>,
    manifest: Manifest,
    world: Arc<World>,
    plugin: PhantomData<P>,
}

impl<P: Plugin> Host<P> {
    /// Starts the plugin with these settings.
    ///
    /// # Panics
    ///
    /// If it does not start, saying why.
    #[must_use]
    pub fn new(settings: serde_json::Value) -> Self {
        match Self::try_new(settings) {
            Ok(host) => host,
            Err(reason) => panic!("the plugin did not start: {reason}"),
        }
    }

    /// Starts the plugin with these settings.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// /// Settings.
    /// #[settings]
    /// pub struct Shop {
    ///     /// How many at most.
    ///     limit: u32,
    /// }
    /// # #[plugin] impl Shop {}
    ///
    /// let refused = Host::<Shop>::try_new(serde_json::json!({"limti": 7})).err().unwrap();
    /// assert!(refused.contains("unknown field `limti`, expected `limit`"), "{refused}");
    /// ```
    ///
    /// Two `#[flags]` structs that do not agree are found here, before a host refuses them:
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// Settings.
    /// # #[settings] pub struct Shop {}
    /// # #[plugin] impl Shop {}
    /// /// Of the counter.
    /// #[flags]
    /// pub struct Counter {
    ///     /// Serves.
    ///     #[flag(default = true)]
    ///     open: bool,
    /// }
    ///
    /// /// Of the office.
    /// #[flags]
    /// pub struct Office {
    ///     /// Is staffed.
    ///     open: bool,
    /// }
    ///
    /// let refused = Host::<Shop>::try_new(serde_json::json!({})).err().unwrap();
    /// assert!(refused.contains("two `#[flags]` structs declare `open`"), "{refused}");
    /// ```
    ///
    /// # Errors
    ///
    /// Why it did not start.
    pub fn try_new(settings: serde_json::Value) -> Result<Self, String> {
        let table = table::<Served<P>>();
        let manifest = describe(table).map_err(|answer| reason(&answer))?;
        let manifest = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
        one_default_each(&manifest)?;
        let instance = Instance::open(table);
        let host = Self {
            instance,
            manifest,
            world: Arc::default(),
            plugin: PhantomData,
        };
        let settings = settings.to_string();
        host.world.start(&settings);
        let settings = settings.into();
        let (answer, _) = host.run(op::START, 0, SharedBytes::new(), settings);
        if answer.is_ok() {
            Ok(host)
        } else {
            Err(reason(&answer))
        }
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The next outbound call is answered with this status and an empty JSON object. Calls that no reply is left
    /// for are answered 200.
    pub fn reply(&self, status: u16) -> &Self {
        self.reply_with(status, &[], &serde_json::json!({}))
    }

    /// The next outbound call is answered so.
    pub fn reply_with(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
    ) -> &Self {
        self.world.script(status, headers, body);
        self
    }

    /// The next outbound call gets no answer.
    pub fn cut(&self) -> &Self {
        self.world.cut();
        self
    }

    /// The next outbound call is not made, as when the host leaves that system alone for `after` because it failed again
    /// and again.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # use std::time::Duration;
    /// # /// A thing happened.
    /// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub name: String }
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// /// Tells another system.
    /// #[handler]
    /// async fn tell(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> {
    ///     ctx.http().post("http://other.test").json(&thing).send().await?.error_for_status()?;
    ///     Ok(())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// host.turn_away(Duration::from_secs(7));
    /// let failed = host.deliver(&Thing { name: "a".to_owned() }).unwrap_err();
    /// assert!(failed.is_retry());
    /// assert_eq!(failed.after(), Some(Duration::from_secs(7)));
    /// ```
    pub fn turn_away(&self, after: Duration) -> &Self {
        self.world.turn_away(after);
        self
    }

    /// The plugin's outbound calls so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Sent> {
        self.world.sent()
    }

    /// Messages of type `M` that were published so far: by routes at once, by handlers when they ended well.
    ///
    /// # Panics
    ///
    /// If one does not decode.
    #[must_use]
    pub fn published<M: Message>(&self) -> Vec<M> {
        let decode = |payload: Vec<u8>| {
            serde_json::from_slice(&payload).expect("what was published decodes")
        };
        self.world
            .published(M::TYPE)
            .into_iter()
            .map(decode)
            .collect()
    }

    /// When each of them is to be delivered, in the order of [`Self::published`]; `None` is at once. The test host's
    /// clock begins at the epoch, and goes on when the plugin sleeps.
    #[must_use]
    pub fn deliver_times<M: Message>(&self) -> Vec<Option<Timestamp>> {
        self.world.deliver_times(M::TYPE)
    }

    fn run(
        &self,
        op: coordinator_abi::Code,
        index: usize,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> (Outcome, Arc<Port>) {
        let port = Arc::new(Port::new(Arc::clone(&self.world)));
        let index = u32::try_from(index).expect("a plugin has fewer than 2³² handlers");
        let answer = block_on(self.instance.call(op, index, Arc::clone(&port), meta, body));
        (answer, port)
    }
}

/// A host does not take a flag that is on in one struct and off in another: its author had better know before.
fn one_default_each(manifest: &Manifest) -> Result<(), String> {
    let mut defaults = BTreeMap::new();
    for flag in &manifest.flags {
        if *defaults.entry(&flag.name).or_insert(flag.default) != flag.default {
            let name = &flag.name;
            return Err(format!(
                "two `#[flags]` structs declare `{name}`, on in one and off in the other\n  (declare it once, or give one of them another name)"
            ));
        }
    }
    Ok(())
}

fn reason(answer: &Outcome) -> String {
    FailureMeta::of(answer).chain.join(": ")
}
