//! What keeps the values. Keys are whole and checked when they arrive here.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{CacheError, Subscription};

/// Memory or Redis. One conformance suite holds both to the same.
#[async_trait]
pub(crate) trait Engine: Send + Sync + 'static {
    async fn get(&self, key: String) -> Result<Option<Bytes>, CacheError>;

    async fn set(&self, key: String, value: Bytes, ttl: Option<Duration>)
    -> Result<(), CacheError>;

    /// Sets what is not set; false if it is.
    async fn add(
        &self,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, CacheError>;

    /// False if there was nothing.
    async fn delete(&self, key: String) -> Result<bool, CacheError>;

    /// Adds to a number; `ttl` counts from when it is created.
    async fn incr(&self, key: String, by: i64, ttl: Option<Duration>) -> Result<i64, CacheError>;

    /// Takes what nobody holds; false if somebody does. Never evicted.
    async fn hold(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError>;

    /// Holds it for `ttl` from now; false if it is not the token's any more.
    async fn extend(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError>;

    /// Lets go; false if it is not the token's any more.
    async fn release(&self, key: String, token: String) -> Result<bool, CacheError>;

    async fn publish(&self, channel: String, message: Bytes) -> Result<(), CacheError>;

    fn subscribe(&self, channel: String) -> Subscription;

    async fn probe(&self) -> Result<(), CacheError>;
}
