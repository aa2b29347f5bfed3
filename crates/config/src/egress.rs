//! `[egress]`: HTTP calls that plugins make through the host. Each setting is explained in `default.toml`.

use std::time::Duration;

use crate::reader::Reader;
use crate::{Backoff, ByteSize};

/// `[egress]`: HTTP calls that plugins make through the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// The whole call.
    pub timeout: Duration,
    /// The part of it that opens a connection.
    pub connect_timeout: Duration,
    /// Largest answer.
    pub max_response: ByteSize,
    /// Idle connections kept per host.
    pub pool_per_host: usize,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// `[egress.breaker]`.
    pub breaker: EgressBreaker,
}

/// `[egress.breaker]`: when a system that fails is left alone, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressBreaker {
    /// Is there one?
    pub enabled: bool,
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open at first.
    pub open_min: Duration,
    /// How long it stays open at most.
    pub open_max: Duration,
}

impl Egress {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            timeout: from.positive("timeout"),
            connect_timeout: from.positive("connect_timeout"),
            max_response: from.get("max_response"),
            pool_per_host: from.get("pool_per_host"),
            pool_idle: from.get("pool_idle"),
            breaker: from.section("breaker", EgressBreaker::read),
        }
    }
}

impl EgressBreaker {
    fn read(from: &Reader<'_>) -> Self {
        let open_for: Backoff = from.get("open_for");
        if !open_for.waits.is_empty() || open_for.min.is_zero() {
            from.reject("open_for", "expected two durations such as \"1s..1m\"");
        }
        Self {
            enabled: from.get("enabled"),
            failures: from.at_least("failures", 1),
            open_min: open_for.min,
            open_max: open_for.max,
        }
    }
}
