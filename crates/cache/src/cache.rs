//! The cache as others see it: spaces that cannot reach each other, and limits on everything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::engine::Engine;
use crate::{CacheError, LockToken, Subscription};

/// Bytes of the longest key, as the caller gives it.
const MAX_KEY: usize = 512;
/// Bytes of the largest value.
const MAX_VALUE: usize = 1 << 20;
/// Bytes of the largest message: it says what changed, not to what.
const MAX_MESSAGE: usize = 64 << 10;
/// Redis counts in milliseconds.
const MIN_TTL: Duration = Duration::from_millis(1);
/// Longer is not a cache any more, and no clock type overflows before it.
const MAX_TTL: Duration = Duration::from_secs(366 * 86_400);

/// Values, numbers and locks that are kept for a while. Clones are the same cache.
#[derive(Clone)]
pub struct Cache {
    engine: Arc<dyn Engine>,
    prefix: Arc<str>,
    space: Arc<str>,
}

/// What a key is the key of. Each kind has keys of its own: a lock may be named as the value that it guards.
#[derive(Clone, Copy)]
enum Kind {
    Value,
    Lock,
    Once,
    Channel,
}

impl Cache {
    pub(crate) fn new(engine: Arc<dyn Engine>, prefix: &str) -> Self {
        Self {
            engine,
            prefix: prefix.into(),
            space: "".into(),
        }
    }

    /// A part of the cache, for one plugin or one purpose. Whatever keys are used in it, no other space sees them.
    #[must_use]
    pub fn space(&self, name: &str) -> Self {
        let mut space = self.space.to_string();
        for letter in name.chars() {
            match letter {
                '%' => space.push_str("%25"),
                ':' => space.push_str("%3A"),
                '/' => space.push_str("%2F"),
                other => space.push(other),
            }
        }
        space.push('/');
        Self {
            engine: Arc::clone(&self.engine),
            prefix: Arc::clone(&self.prefix),
            space: space.into(),
        }
    }

    /// The value, unless it was never set, has expired, or was forgotten.
    ///
    /// # Errors
    ///
    /// If the key cannot be, or the cache fails.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        self.engine.get(self.key(Kind::Value, key)?).await
    }

    /// Keeps a value, for `ttl` or until it is forgotten.
    ///
    /// # Errors
    ///
    /// If key, value or time cannot be, or the cache fails.
    pub async fn set(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<(), CacheError> {
        let (key, value) = (
            self.key(Kind::Value, key)?,
            limited(value.into(), MAX_VALUE)?,
        );
        self.engine.set(key, value, lasting(ttl)?).await
    }

    /// The same, if there is no value; false if there is one.
    ///
    /// # Errors
    ///
    /// As [`Cache::set`].
    pub async fn add(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<bool, CacheError> {
        let (key, value) = (
            self.key(Kind::Value, key)?,
            limited(value.into(), MAX_VALUE)?,
        );
        self.engine.add(key, value, lasting(ttl)?).await
    }

    /// Forgets a value; false if there was none.
    ///
    /// # Errors
    ///
    /// If the key cannot be, or the cache fails.
    pub async fn delete(&self, key: &str) -> Result<bool, CacheError> {
        self.engine.delete(self.key(Kind::Value, key)?).await
    }

    /// Adds `by` to a number and answers the sum; a number that is not there is 0. `ttl` counts from when the number
    /// is created, and later calls do not change it. [`Cache::get`] reads it as decimal digits.
    ///
    /// # Errors
    ///
    /// [`CacheError::NotANumber`]; if key or time cannot be, or the cache fails.
    pub async fn incr(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, CacheError> {
        let key = self.key(Kind::Value, key)?;
        self.engine.incr(key, by, lasting(ttl)?).await
    }

    /// Takes a lock for `ttl`; `None` if somebody holds it. It ends by itself: who works longer extends it in time, and
    /// stops if that fails.
    ///
    /// # Errors
    ///
    /// If key or time cannot be, or the cache fails. Then it may be held until `ttl` is over.
    pub async fn lock(&self, key: &str, ttl: Duration) -> Result<Option<LockToken>, CacheError> {
        let key = self.key(Kind::Lock, key)?;
        let token = LockToken::new();
        let taken = self
            .engine
            .hold(key, token.as_str().to_owned(), within(ttl)?)
            .await?;
        Ok(taken.then_some(token))
    }

    /// Holds a lock for `ttl` from now; false if it is the token's no longer, and then nothing changes.
    ///
    /// # Errors
    ///
    /// If key or time cannot be, or the cache fails.
    pub async fn extend(
        &self,
        key: &str,
        token: &LockToken,
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let key = self.key(Kind::Lock, key)?;
        let token = token.as_str().to_owned();
        self.engine.extend(key, token, within(ttl)?).await
    }

    /// Lets a lock go; false if it was the token's no longer: another's lock stays.
    ///
    /// # Errors
    ///
    /// If the key cannot be, or the cache fails. Then it ends with its time.
    pub async fn release(&self, key: &str, token: &LockToken) -> Result<bool, CacheError> {
        let key = self.key(Kind::Lock, key)?;
        self.engine.release(key, token.as_str().to_owned()).await
    }

    /// True for the first caller within `ttl`, false for all others.
    ///
    /// # Errors
    ///
    /// If key or time cannot be, or the cache fails. Then nobody may have been the first.
    pub async fn once(&self, key: &str, ttl: Duration) -> Result<bool, CacheError> {
        let key = self.key(Kind::Once, key)?;
        self.engine.hold(key, "1".to_owned(), within(ttl)?).await
    }

    /// Tells who listens to the channel now, on every host. Nobody is told later.
    ///
    /// # Errors
    ///
    /// If channel or message cannot be, or the cache fails.
    pub async fn publish(
        &self,
        channel: &str,
        message: impl Into<Bytes>,
    ) -> Result<(), CacheError> {
        let channel = self.key(Kind::Channel, channel)?;
        let message = limited(message.into(), MAX_MESSAGE)?;
        self.engine.publish(channel, message).await
    }

    /// Listens to a channel.
    ///
    /// # Errors
    ///
    /// If the channel's name cannot be.
    pub fn subscribe(&self, channel: &str) -> Result<Subscription, CacheError> {
        Ok(self.engine.subscribe(self.key(Kind::Channel, channel)?))
    }

    /// Whether it answers.
    ///
    /// # Errors
    ///
    /// If it does not, within the timeout.
    pub async fn probe(&self) -> Result<(), CacheError> {
        self.engine.probe().await
    }

    /// `prefix:kind:space/:key`. Neither kinds nor spaces hold a colon, so no two names make the same key.
    fn key(&self, kind: Kind, key: &str) -> Result<String, CacheError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(CacheError::Key {
                most: MAX_KEY,
                found: key.len(),
            });
        }
        let kind = match kind {
            Kind::Value => "v",
            Kind::Lock => "l",
            Kind::Once => "o",
            Kind::Channel => "c",
        };
        Ok(format!("{}:{kind}:{}:{key}", self.prefix, self.space))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.space).finish()
    }
}

fn limited(value: Bytes, most: usize) -> Result<Bytes, CacheError> {
    match value.len() {
        found if found > most => Err(CacheError::Value { most, found }),
        _ => Ok(value),
    }
}

fn lasting(ttl: Option<Duration>) -> Result<Option<Duration>, CacheError> {
    ttl.map(within).transpose()
}

fn within(ttl: Duration) -> Result<Duration, CacheError> {
    if (MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    Err(CacheError::Ttl {
        least: MIN_TTL,
        most: MAX_TTL,
        found: ttl,
    })
}
