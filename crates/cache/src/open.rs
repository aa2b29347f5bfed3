//! Which cache, and on which terms.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::memory::Memory;
use crate::redis::Redis;
use crate::{Cache, OpenError};

/// How the cache is opened.
#[derive(Clone)]
pub struct CacheOptions {
    /// `memory:` or `redis://HOST:PORT/DATABASE`.
    pub url: String,
    /// What every key of the server begins with. Hosts that share it share what is kept.
    pub prefix: String,
    /// Bytes that memory keeps at most; what was used least goes first. A server has its own limit.
    pub max_bytes: u64,
    /// Connections to the server at most.
    pub max_connections: usize,
    /// Every call answers within this time.
    pub timeout: Duration,
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("CacheOptions")
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Sets the cache up. A server is called with the first call, so that a host can start without it.
    ///
    /// # Errors
    ///
    /// If the URL is none of ours.
    pub fn open(options: &CacheOptions) -> Result<Self, OpenError> {
        let engine: Arc<dyn Engine> = if options.url == "memory:" {
            Arc::new(Memory::new(options.max_bytes))
        } else if options.url.starts_with("redis://") {
            Arc::new(Redis::open(options)?)
        } else {
            return Err(OpenError::Url {
                problem: "it is neither \"memory:\" nor a \"redis://\" URL".to_owned(),
            });
        };
        Ok(Self::new(engine, &options.prefix))
    }
}
