//! What the host lends to one call.

use std::time::Duration;

use coordinator_abi::call::HandleMeta;
use coordinator_abi::code::ask;
use coordinator_abi::{Lent, SharedBytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking::{self, BlockingError};
use crate::cache::{self, Cache, CacheError};
use crate::error::DecodeError;
use crate::flags::Flag;
use crate::lock::{Lock, LockError};
use crate::metrics::Metrics;
use crate::run::{self, Ran, RunError};
use crate::service;
use crate::settings::{Settings, SettingsError};
use crate::{Http, Message, Publish, Timestamp};

/// What the host lends to one call of a handler, a route, a step, or whatever else a plugin does.
///
/// A clone acts for the same call: what a handler publishes after it has ended is refused.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
/// # /// A thing was counted.
/// # #[message("org.example.thing.counted.v1")] pub struct Counted { pub id: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Counts a thing.
/// #[handler]
/// async fn count(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> {
///     tracing::info!(attempt = ctx.message().map_or(0, |message| message.attempt), "counting");
///     ctx.publish(Counted { id: thing.id }).await?;
///     Ok(())
/// }
/// # }
/// ```
///
/// What else it lends:
///
/// ```
/// use coordinator_sdk::{prelude::*, Ran};
/// use std::time::Duration;
///
/// /// Switches.
/// #[flags]
/// pub struct Switches {
///     /// Asks all systems.
///     all: bool,
/// }
///
/// async fn look(ctx: &Context, lms: &Url) -> Result<Vec<String>, RouteError> {
///     let began = ctx.now();
///     if let Some(kept) = ctx.cache().get(ctx.webhook_id()).await? {
///         return Ok(kept);
///     }
///     ctx.sleep(Duration::from_millis(10)).await; // holds no thread
///     let mut found: Vec<String> = ctx.http().get(lms).send().await?.error_for_status()?.json()?;
///     if ctx.flag(Switches::ALL) {
///         let all: Ran<Vec<String>> = ctx.run_stated("org.example.courses.v1", &found).await?;
///         tracing::info!(missing = all.missing.len(), "asked all systems");
///         found = all.value;
///     }
///     ctx.metrics().histogram("look_seconds").record(ctx.now().since(began).as_secs_f64());
///     Ok(found)
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    lent: Lent,
    webhook_id: String,
    message: Option<MessageInfo>,
}

/// The message that a handler is called for; of a schedule, its tick: `time` is when it was due.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Is careful when it is not the first attempt.
/// #[handler]
/// async fn take(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> {
///     if let Some(message) = ctx.message() && message.attempt > 1 {
///         tracing::warn!(id = message.id, correlation = message.correlation, "once more");
///     }
///     Ok(())
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its id.
    pub id: String,
    /// Who published it.
    pub source: String,
    /// When it happened.
    pub time: Timestamp,
    /// Its ordering key.
    pub key: Option<String>,
    /// Shared by every message of one chain.
    pub correlation: String,
    /// Number of this attempt, from 1.
    pub attempt: u64,
    /// How often it was replayed.
    pub replay: u64,
}

impl Context {
    /// Of a call that nobody sent anything for.
    pub(crate) fn plain(lent: Lent) -> Self {
        Self::of_request(lent, String::new())
    }

    pub(crate) fn of_request(lent: Lent, webhook_id: String) -> Self {
        Self {
            lent,
            webhook_id,
            message: None,
        }
    }

    pub(crate) fn of_handler(lent: Lent, meta: HandleMeta) -> Self {
        let message = MessageInfo {
            id: meta.id,
            source: meta.source,
            time: Timestamp::from_millis(i64::try_from(meta.time_ms).unwrap_or(i64::MAX)),
            key: meta.key,
            correlation: meta.correlation,
            attempt: meta.attempt,
            replay: meta.replay,
        };
        Self {
            lent,
            webhook_id: message.id.clone(),
            message: Some(message),
        }
    }

    /// Publishes a message when the returned builder is awaited. See [`Publish`].
    pub fn publish<M: Message>(&self, message: M) -> Publish {
        Publish::new(self.lent.clone(), &message)
    }

    /// Calls other systems. See [`Http`].
    #[must_use]
    pub fn http(&self) -> Http<'_> {
        Http::new(&self.lent)
    }

    /// In a route: the sender's id of this event (of its scheme, else the SHA-256 of the body), never absent, so
    /// that it can be the idempotency key. In a handler: the message's id. In a step: the id of the pipeline's run.
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        &self.webhook_id
    }

    /// In a handler: the message it is called for.
    #[must_use]
    pub fn message(&self) -> Option<&MessageInfo> {
        self.message.as_ref()
    }

    /// Runs a pipeline and answers its value. Its steps may be of any plugins; which ones, the operator says.
    ///
    /// ```
    /// use coordinator_sdk::prelude::*;
    /// use coordinator_sdk::testing::{Call, Host};
    ///
    /// # /// Settings.
    /// # #[settings] pub struct Shop {}
    /// /// Whose orders.
    /// #[data]
    /// pub struct Asked {
    ///     pub learner: String,
    /// }
    /// /// The orders of a learner.
    /// #[data]
    /// pub struct History {
    ///     pub orders: Vec<String>,
    /// }
    ///
    /// # #[plugin] impl Shop {
    /// /// The orders of a learner, from all order systems.
    /// #[route(get, "/orders/{learner}", auth = key("orders"))]
    /// async fn orders(&self, ctx: &Context, request: Request) -> Result<Json<History>, RouteError> {
    ///     let learner = request.param("learner").unwrap_or_default().to_owned();
    ///     let history = ctx.run("org.example.order.history.v1", &Asked { learner }).await?;
    ///     Ok(Json(history))
    /// }
    /// # }
    /// let host = Host::<Shop>::new(serde_json::json!({}));
    /// host.pipeline("org.example.order.history.v1", &serde_json::json!({"orders": ["A-1"]}));
    /// assert_eq!(host.call(Call::get("/orders/ada")).body, br#"{"orders":["A-1"]}"#);
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError`]: no such pipeline, a step that failed or took too long, a value that is no `T`.
    pub async fn run<I, T>(&self, pipeline: &str, input: &I) -> Result<T, RunError>
    where
        I: Serialize + ?Sized,
        T: DeserializeOwned,
    {
        let ran = run::run(&self.lent, pipeline, input).await?;
        Ok(ran.value)
    }

    /// The same, and which steps' parts are missing from the value, where the operator allows that some are.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn run_stated<I, T>(&self, pipeline: &str, input: &I) -> Result<Ran<T>, RunError>
    where
        I: Serialize + ?Sized,
        T: DeserializeOwned,
    {
        run::run(&self.lent, pipeline, input).await
    }

    /// Values that outlive the call, as long as there is room. See [`Cache`].
    #[must_use]
    pub fn cache(&self) -> Cache<'_> {
        Cache::new(&self.lent)
    }

    /// Holds a lock of the instance's own, for at most `ttl`. It does not wait: if somebody else holds it, that is an
    /// error, and `?` in a handler asks for another attempt.
    ///
    /// ```
    /// use coordinator_sdk::prelude::*;
    /// use coordinator_sdk::testing::Host;
    /// use std::time::Duration;
    ///
    /// # /// Settings.
    /// # #[settings] pub struct Exports {}
    /// # #[plugin] impl Exports {
    /// /// Writes the export; two at once would write into one file.
    /// #[command]
    /// async fn export(&self, ctx: &Context) -> Result<String, CommandError> {
    ///     let _lock = ctx.lock("export", Duration::from_secs(60)).await?;
    ///     Ok("written".to_owned())
    /// }
    /// # }
    /// let host = Host::<Exports>::new(serde_json::json!({}));
    /// assert!(host.command("export", &()).is_ok());
    /// assert!(host.command("export", &()).is_ok(), "the first one gave it up");
    /// host.hold("export");
    /// let refused = host.command("export", &()).unwrap_err();
    /// assert!(refused.chain()[0].contains("somebody else holds the lock `export`"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub async fn lock(&self, key: &str, ttl: Duration) -> Result<Lock, LockError> {
        Lock::acquire(self.lent.clone(), key, ttl).await
    }

    /// Is this the first time within `ttl` that anybody asks for `key`? One alone is told so, however many ask at once.
    ///
    /// It is told so once, whatever then becomes of the work: a handler that fails after it is not first at its next
    /// attempt. So it fits work that may be left out, such as a reminder. What must not be left out is made safe to
    /// repeat, by an idempotency key.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::{Call, Host};
    /// # use std::time::Duration;
    /// # /// Settings.
    /// # #[settings] pub struct Shop {}
    /// # #[plugin] impl Shop {
    /// /// Reminds, once a day.
    /// #[route(post, "/remind", auth = public)]
    /// async fn remind(&self, ctx: &Context) -> Result<Response, RouteError> {
    ///     let first = ctx.once("reminder", Duration::from_secs(86_400)).await?;
    ///     Ok(Response::text(200, if first { "reminded" } else { "was reminded" }))
    /// }
    /// # }
    /// let host = Host::<Shop>::new(serde_json::json!({}));
    /// assert_eq!(host.call(Call::post("/remind")).body, b"reminded");
    /// assert_eq!(host.call(Call::post("/remind")).body, b"was reminded");
    /// ```
    ///
    /// # Errors
    ///
    /// If the cache cannot be asked.
    pub async fn once(&self, key: &str, ttl: Duration) -> Result<bool, CacheError> {
        cache::once(&self.lent, key, ttl).await
    }

    /// Is a flag on, now? A read of memory: cheap enough for every call. See [`Flag`].
    #[must_use]
    pub fn flag(&self, flag: Flag) -> bool {
        flag.is_on(&self.lent)
    }

    /// Counts and measures. See [`Metrics`].
    #[must_use]
    pub fn metrics(&self) -> Metrics<'_> {
        Metrics::new(&self.lent)
    }

    /// The settings that this instance runs with. They never change under it: when an operator changes them, the host
    /// starts a new instance beside this one, and this one ends with the calls that it has. For plugins whose state does
    /// not keep what it was made of.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// /// Settings.
    /// #[settings]
    /// pub struct S {
    ///     /// How many at most.
    ///     limit: u32,
    /// }
    /// pub struct Plugin;
    /// # #[plugin] impl Plugin {
    /// #[start]
    /// async fn start(_settings: S, _ctx: &Context) -> Result<Self, StartError> {
    ///     Ok(Self)
    /// }
    ///
    /// /// Tells the limit.
    /// #[command]
    /// async fn limit(&self, ctx: &Context) -> Result<String, CommandError> {
    ///     let settings: S = ctx.settings().await?;
    ///     Ok(settings.limit.to_string())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({"limit": 7}));
    /// assert_eq!(host.command("limit", &()).unwrap().text(), "7");
    /// ```
    ///
    /// # Errors
    ///
    /// If `S` is not what they fit, or the host is older than the plugin.
    pub async fn settings<S: Settings>(&self) -> Result<S, SettingsError> {
        let (meta, body) = (SharedBytes::new(), SharedBytes::new());
        let answer = service::ask(&self.lent, ask::SETTINGS, meta, body).await;
        let answer =
            answer.map_err(|failure| SettingsError::Failed(failure.reason().to_owned()))?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| SettingsError::Unfit(DecodeError::new("settings", &error)))
    }

    /// Runs work that holds its thread on a thread of its own, so that it holds up no other call: compression, a
    /// database driver that is not async. If this future is dropped, because the host gives the call up, the work itself
    /// goes on to its end.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// /// Adds up to a number.
    /// #[command]
    /// async fn sum(&self, ctx: &Context) -> Result<String, CommandError> {
    ///     let sum: u64 = ctx.spawn_blocking(|| (1..=1_000_u64).sum()).await?;
    ///     Ok(sum.to_string())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// assert_eq!(host.command("sum", &()).unwrap().text(), "500500");
    /// ```
    ///
    /// # Errors
    ///
    /// If it panics, or there is no thread for it.
    pub async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingError> {
        blocking::spawn(work).await
    }

    /// The host's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.lent.now())
    }

    /// Waits, without holding a thread.
    pub async fn sleep(&self, time: Duration) {
        self.lent.sleep(time).await;
    }
}
