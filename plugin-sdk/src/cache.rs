//! Values that outlive a call, as long as there is room: the host's cache.

use std::time::Duration;

use coordinator_abi::ask::KeyMeta;
use coordinator_abi::code::ask;
use coordinator_abi::{Code, Lent, SharedBytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::service::{Failure, ask_key, millis};

/// The host's cache, through [`Context::cache`](crate::Context::cache). Its keys are the instance's own; on a host with
/// `[cache] url = "redis://…"` all nodes share them. It may forget: what must not be lost is a message.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
/// use std::time::Duration;
///
/// # /// Settings.
/// # #[settings] pub struct Rates { /// Rates.
/// # url: Url }
/// /// Today's rate.
/// #[data]
/// pub struct Rate {
///     pub per_mille: u32,
/// }
///
/// # #[plugin] impl Rates {
/// /// Today's rate, asked for once an hour.
/// #[route(get, "/rate", auth = public)]
/// async fn rate(&self, ctx: &Context) -> Result<Json<Rate>, RouteError> {
///     if let Some(rate) = ctx.cache().get("rate").await? {
///         return Ok(Json(rate));
///     }
///     let rate: Rate = ctx.http().get(&self.url).send().await?.error_for_status()?.json()?;
///     ctx.cache().set("rate", &rate, Duration::from_secs(3600)).await?;
///     Ok(Json(rate))
/// }
/// # }
/// let host = Host::<Rates>::new(serde_json::json!({"url": "http://rates.test"}));
/// host.reply_with(200, &[], &serde_json::json!({"per_mille": 40}));
/// assert_eq!(host.call(Call::get("/rate")).status, 200);
/// assert_eq!(host.call(Call::get("/rate")).status, 200);
/// assert_eq!(host.requests().len(), 1, "the second one came from the cache");
/// host.advance(Duration::from_secs(3601));
/// host.reply_with(200, &[], &serde_json::json!({"per_mille": 41}));
/// assert_eq!(host.call(Call::get("/rate")).body, br#"{"per_mille":41}"#);
/// ```
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    lent: &'a Lent,
}

impl<'a> Cache<'a> {
    pub(crate) fn new(lent: &'a Lent) -> Self {
        Self { lent }
    }

    /// The value of `key`, if it is there and fits `T`. One that does not fit is as good as absent: an older version of
    /// the plugin may have left it.
    ///
    /// # Errors
    ///
    /// If the cache cannot be asked.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CacheError> {
        let (reply, value) = self.ask(ask::CACHE_GET, meta(key), None).await?;
        if reply == 0 {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&value).ok())
    }

    /// Keeps `value` for `ttl`.
    ///
    /// # Errors
    ///
    /// If the cache cannot be asked, or refuses: keys have at most 512 bytes, values 1 MiB.
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let value = Some(encode(value)?);
        self.ask(ask::CACHE_SET, for_a_while(key, ttl), value)
            .await?;
        Ok(())
    }

    /// Keeps `value` for `ttl` unless the key has one. Was it added?
    ///
    /// # Errors
    ///
    /// As [`Self::set`].
    pub async fn add<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let value = Some(encode(value)?);
        let (added, _) = self
            .ask(ask::CACHE_ADD, for_a_while(key, ttl), value)
            .await?;
        Ok(added != 0)
    }

    /// Adds `by` to a number, that begins at zero and lives for `ttl` from its first addition, and answers the sum. No
    /// addition is lost, however many make one at once.
    ///
    /// ```
    /// use coordinator_sdk::prelude::*;
    /// use std::time::Duration;
    ///
    /// /// Three guesses a minute, and one hint.
    /// async fn guess(ctx: &Context, learner: &str, right: bool) -> Result<&'static str, RouteError> {
    ///     let (guesses, minute) = (format!("guesses:{learner}"), Duration::from_secs(60));
    ///     if ctx.cache().increment(&guesses, 1, minute).await? > 3 {
    ///         return Ok("wait a minute");
    ///     }
    ///     if right {
    ///         ctx.cache().delete(&guesses).await?;
    ///         return Ok("right");
    ///     }
    ///     let first = ctx.cache().add(&format!("hint:{learner}"), &true, minute).await?;
    ///     Ok(if first { "no: it is a city" } else { "no" })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::set`], or if the key holds something that is no number.
    pub async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64, CacheError> {
        let meta = KeyMeta {
            by,
            ..for_a_while(key, ttl)
        };
        let (sum, _) = self.ask(ask::CACHE_INCR, meta, None).await?;
        Ok(sum)
    }

    /// Forgets a value. Was there one?
    ///
    /// # Errors
    ///
    /// If the cache cannot be asked.
    pub async fn delete(&self, key: &str) -> Result<bool, CacheError> {
        let (there, _) = self.ask(ask::CACHE_DELETE, meta(key), None).await?;
        Ok(there != 0)
    }

    async fn ask(
        &self,
        what: Code,
        meta: KeyMeta,
        value: Option<SharedBytes>,
    ) -> Result<(i64, SharedBytes), CacheError> {
        let (reply, body) = ask_key(self.lent, what, meta, value.unwrap_or_default()).await?;
        Ok((reply.number, body))
    }
}

/// Is this the first to ask for `key` within `ttl`? See [`Context::once`](crate::Context::once).
pub(crate) async fn once(lent: &Lent, key: &str, ttl: Duration) -> Result<bool, CacheError> {
    let meta = for_a_while(key, ttl);
    let (reply, _) = ask_key(lent, ask::ONCE, meta, SharedBytes::new()).await?;
    Ok(reply.number != 0)
}

fn meta(key: &str) -> KeyMeta {
    KeyMeta {
        key: key.to_owned(),
        ..KeyMeta::default()
    }
}

fn for_a_while(key: &str, ttl: Duration) -> KeyMeta {
    KeyMeta {
        ttl_ms: Some(millis(ttl)),
        ..meta(key)
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<SharedBytes, CacheError> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            Err(Failure::own(format!("the value does not encode as JSON: {error}")).into())
        }
    }
}

/// The cache did not do what it was asked for. In a handler `?` asks for another attempt; in a route it answers 503 if
/// the cache is away.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::{Call, Host};
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Counts.
/// #[route(post, "/count", auth = public)]
/// async fn count(&self, ctx: &Context) -> Result<(), RouteError> {
///     ctx.cache().increment("calls", 1, std::time::Duration::from_secs(60)).await?;
///     Ok(())
/// }
/// # }
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// assert_eq!(host.call(Call::post("/count")).status, 204);
/// host.without_cache();
/// assert_eq!(host.call(Call::post("/count")).status, 503);
/// ```
///
/// A plugin that can do without says so:
///
/// ```
/// use coordinator_sdk::CacheError;
/// use coordinator_sdk::prelude::*;
///
/// async fn seen(ctx: &Context, page: &str) -> Result<i64, CacheError> {
///     let day = std::time::Duration::from_secs(86_400);
///     match ctx.cache().increment(page, 1, day).await {
///         Err(error) if error.is_temporary() || error.is_unsupported() => Ok(0),
///         answer => answer,
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the cache failed: {}", .0.reason())]
pub struct CacheError(Failure);

impl From<Failure> for CacheError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl CacheError {
    /// May it succeed later?
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.0.is_temporary()
    }

    /// Is the host older than the plugin, so that it lends no cache?
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.0.is_unsupported()
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}
