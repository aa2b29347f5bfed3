//! Terms of a handler: the host's defaults, the author's attribute, the operator's word; the last one wins.

use std::time::Duration;

use coordinator_abi::manifest;
use coordinator_config::{Dispatch, HandlerWiring};

/// How a handler is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerTerms {
    /// Attempts before it is a dead letter.
    pub max_attempts: u32,
    /// Panics of one message before it is a dead letter.
    pub max_crashes: u32,
    /// First backoff; doubles up to `backoff_max`, with full jitter.
    pub backoff_min: Duration,
    /// Longest backoff. `Retry-After` is clamped to it too.
    pub backoff_max: Duration,
    /// One attempt may take this long.
    pub timeout: Duration,
    /// So many at once.
    pub concurrency: u32,
}

impl Default for HandlerTerms {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            max_crashes: 3,
            backoff_min: Duration::from_secs(2),
            backoff_max: Duration::from_secs(15 * 60),
            timeout: Duration::from_secs(30),
            concurrency: 16,
        }
    }
}

impl HandlerTerms {
    /// The terms of one handler.
    #[must_use]
    pub fn of(
        host: &Dispatch,
        author: &manifest::Handler,
        operator: Option<&HandlerWiring>,
    ) -> Self {
        let mut terms = Self {
            max_attempts: author.max_attempts.unwrap_or(host.max_attempts),
            max_crashes: host.max_crashes,
            backoff_min: host.backoff.min,
            backoff_max: host.backoff.max,
            timeout: author
                .timeout_ms
                .map_or(host.timeout, Duration::from_millis),
            concurrency: author.concurrency.unwrap_or(host.concurrency),
        };
        if let Some((min, max)) = author.backoff_ms {
            (terms.backoff_min, terms.backoff_max) =
                (Duration::from_millis(min), Duration::from_millis(max));
        }
        if let Some(operator) = operator {
            terms.max_attempts = operator.max_attempts.unwrap_or(terms.max_attempts);
            terms.timeout = operator.timeout.unwrap_or(terms.timeout);
            terms.concurrency = operator.concurrency.unwrap_or(terms.concurrency);
            if let Some(backoff) = &operator.backoff {
                (terms.backoff_min, terms.backoff_max) = (backoff.min, backoff.max);
            }
        }
        terms
    }
}
