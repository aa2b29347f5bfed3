//! `[dispatch.breaker]`: when a handler is no longer tried with every message.

use std::time::Duration;

use crate::Backoff;
use crate::reader::Reader;

/// When the breaker of a handler opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Whether handlers have one, where `[wiring.handlers]` does not say otherwise.
    pub enabled: bool,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// So many messages must be among them.
    pub messages: u32,
    /// Messages in a row whose attempts panicked.
    pub panics: u32,
    /// How long it stays open at first.
    pub open_min: Duration,
    /// How long at most: it doubles with each probe that fails.
    pub open_max: Duration,
}

/// Messages that a breaker keeps in mind, at most.
const MOST_MESSAGES: u32 = 100;

impl Breaker {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let open_for: Backoff = from.get("open_for");
        if !open_for.waits.is_empty() || open_for.min.is_zero() {
            from.reject("open_for", "expected two durations such as \"1s..1m\"");
        }
        let breaker = Self {
            enabled: from.get("enabled"),
            failures: from.at_least("failures", 1),
            messages: from.at_least("messages", 1),
            panics: from.at_least("panics", 1),
            open_min: open_for.min,
            open_max: open_for.max,
        };
        for (name, count) in [("messages", breaker.messages), ("panics", breaker.panics)] {
            if count > MOST_MESSAGES {
                from.reject(name, &format!("expected at most {MOST_MESSAGES}"));
            }
        }
        breaker
    }
}
