//! `[egress]`: HTTP calls that plugins make through the host. Each setting is explained in `default.toml`.

use std::time::Duration;

use crate::ByteSize;
use crate::reader::Reader;

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
    pub open_for: Duration,
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
        let breaker = Self {
            enabled: from.get("enabled"),
            failures: from.at_least("failures", 1),
            open_for: from.positive("open_for"),
            open_max: from.positive("open_max"),
        };
        if breaker.open_max < breaker.open_for {
            let max = humantime::format_duration(breaker.open_max);
            let problem = format!("expected no more than `egress.breaker.open_max`, {max}");
            from.reject("open_for", &problem);
        }
        breaker
    }
}
