//! The cache of one process.

mod held;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use moka::Expiry;
use moka::future::Cache as Values;
use moka::ops::compute::{CompResult, Op};
use tokio::sync::broadcast;

use self::held::Held;
use crate::engine::Engine;
use crate::{CacheError, Subscription};

/// What an entry costs beside its bytes, about.
const OVERHEAD: usize = 128;
/// Messages that a slow subscriber may be behind.
const BEHIND: usize = 256;

/// Values that go when there is no room, and locks that do not.
pub(crate) struct Memory {
    values: Values<String, Kept>,
    held: Held,
    channels: Mutex<HashMap<String, broadcast::Sender<Bytes>>>,
}

/// One value, and until when.
#[derive(Debug, Clone)]
struct Kept {
    value: Bytes,
    until: Option<Instant>,
}

/// Each value has a time of its own.
struct Until;

impl Memory {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let weight = |key: &String, kept: &Kept| {
            u32::try_from(key.len() + kept.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            values: Values::builder()
                .max_capacity(max_bytes)
                .weigher(weight)
                .expire_after(Until)
                .build(),
            held: Held::default(),
            channels: Mutex::default(),
        }
    }
}

#[async_trait]
impl Engine for Memory {
    async fn get(&self, key: String) -> Result<Option<Bytes>, CacheError> {
        let kept = self.values.get(&key).await;
        Ok(kept.filter(Kept::is_alive).map(|kept| kept.value))
    }

    async fn set(
        &self,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<(), CacheError> {
        self.values.insert(key, Kept::new(value, ttl)).await;
        Ok(())
    }

    async fn add(
        &self,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, CacheError> {
        let outcome = self.values.entry(key).and_compute_with(|found| {
            let is_there = found.is_some_and(|entry| entry.value().is_alive());
            let op = if is_there {
                Op::Nop
            } else {
                Op::Put(Kept::new(value, ttl))
            };
            std::future::ready(op)
        });
        Ok(!matches!(outcome.await, CompResult::Unchanged(_)))
    }

    async fn delete(&self, key: String) -> Result<bool, CacheError> {
        let removed = self.values.remove(&key).await;
        Ok(removed.is_some_and(|kept| kept.is_alive()))
    }

    async fn incr(&self, key: String, by: i64, ttl: Option<Duration>) -> Result<i64, CacheError> {
        let outcome = self.values.entry(key).and_try_compute_with(|found| {
            let found = found.map(|entry| entry.into_value());
            std::future::ready(add(found.filter(Kept::is_alive), by, ttl).map(Op::Put))
        });
        let sum = match outcome.await? {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) => entry.value().number(),
            _ => None,
        };
        Ok(sum.expect("a number was just put there"))
    }

    async fn hold(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError> {
        self.held.hold(key, token, ttl)
    }

    async fn extend(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError> {
        Ok(self.held.extend(&key, &token, ttl))
    }

    async fn release(&self, key: String, token: String) -> Result<bool, CacheError> {
        Ok(self.held.release(&key, &token))
    }

    async fn publish(&self, channel: String, message: Bytes) -> Result<(), CacheError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens: the channel is forgotten until somebody does.
        if channels
            .get(&channel)
            .is_some_and(|channel| channel.send(message).is_err())
        {
            channels.remove(&channel);
        }
        Ok(())
    }

    fn subscribe(&self, channel: String) -> Subscription {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = channels
            .entry(channel)
            .or_insert_with(|| broadcast::Sender::new(BEHIND));
        Subscription::memory(sender.subscribe())
    }

    async fn probe(&self) -> Result<(), CacheError> {
        Ok(())
    }
}

impl Kept {
    fn new(value: Bytes, ttl: Option<Duration>) -> Self {
        Self {
            value,
            until: ttl.map(|ttl| Instant::now() + ttl),
        }
    }

    /// The values' own clock is a little behind: what is over is over.
    fn is_alive(&self) -> bool {
        self.until.is_none_or(|until| until > Instant::now())
    }

    /// As Redis reads numbers: decimal digits as they would be printed, and nothing else.
    fn number(&self) -> Option<i64> {
        let text = std::str::from_utf8(&self.value).ok()?;
        let number: i64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    }
}

fn add(found: Option<Kept>, by: i64, ttl: Option<Duration>) -> Result<Kept, CacheError> {
    let Some(found) = found else {
        return Ok(Kept::new(by.to_string().into(), ttl));
    };
    let number = found.number().ok_or(CacheError::NotANumber)?;
    let sum = number.checked_add(by).ok_or(CacheError::NotANumber)?;
    Ok(Kept {
        value: sum.to_string().into(),
        until: found.until,
    })
}

impl Expiry<String, Kept> for Until {
    fn expire_after_create(&self, _: &String, kept: &Kept, now: Instant) -> Option<Duration> {
        kept.until.map(|until| until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Kept,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        kept.until.map(|until| until.saturating_duration_since(now))
    }
}
