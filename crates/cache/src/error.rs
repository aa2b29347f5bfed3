//! What can go wrong with the cache.

use std::error::Error;
use std::time::Duration;

/// The cache could not be set up. Whether a server answers is not known yet.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no cache that we can use.
    #[error(
        "the cache URL cannot be used: {problem}\n  (see `cache.url`: \"memory:\" or \"redis://HOST:PORT/DATABASE\")"
    )]
    Url {
        /// What is wrong with it; never the URL, which may hold a password.
        problem: String,
    },
}

/// The cache did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The key is empty or too long.
    #[error("a key has 1 to {most} bytes, this one has {found}")]
    Key {
        /// The longest.
        most: usize,
        /// What was given.
        found: usize,
    },
    /// The value is too large.
    #[error("a value has at most {most} bytes, this one has {found}")]
    Value {
        /// The largest.
        most: usize,
        /// What was given.
        found: usize,
    },
    /// The time is too short or too long.
    #[error("a value lives for {least:?} to {most:?}, not for {found:?}")]
    Ttl {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
        /// What was given.
        found: Duration,
    },
    /// The value is not a number in decimal digits, or would no longer fit 64 bits.
    #[error("the value is not an integer, or the sum does not fit 64 bits")]
    NotANumber,
    /// Memory holds as many locks as it may.
    #[error(
        "{0} locks are held, and no more can be\n  (give them a shorter time, or use Redis: see `cache.url`)"
    )]
    Full(usize),
    /// No answer in time. What was asked may have been done.
    #[error("the cache did not answer within {0:?}")]
    Timeout(Duration),
    /// The server is away, or refused.
    #[error("the cache failed\n  (see `cache.url`; it is tried again with the next call)")]
    Server(#[source] Box<dyn Error + Send + Sync>),
}

impl CacheError {
    /// Whether it is the cache that fails, and not what was asked of it: it may be up again later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Server(_) | Self::Full(_))
    }
}
