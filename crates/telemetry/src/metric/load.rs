//! How much there is to do: gauges of handlers and of the journal, set a few times a minute.

use std::time::Duration;

use super::raw;

const HANDLER_LAG: &str = "coordinator_handler_lag_messages";
const HANDLER_OLDEST: &str = "coordinator_handler_oldest_seconds";
const HANDLER_RUNNING: &str = "coordinator_handler_running_deliveries";
const HANDLER_RETRYING: &str = "coordinator_handler_retrying_deliveries";
const HANDLER_PARKED: &str = "coordinator_handler_parked_deliveries";
const HANDLER_DEAD: &str = "coordinator_handler_dead_letters";
const HANDLER_PAUSED: &str = "coordinator_handler_paused";
const HANDLER_BREAKER: &str = "coordinator_handler_breaker_open";
const JOURNAL_SIZE: &str = "coordinator_journal_size_bytes";
const JOURNAL_MESSAGES: &str = "coordinator_journal_messages";
const JOURNAL_DELAYED: &str = "coordinator_journal_delayed_messages";

/// Numbers of one handler at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HandlerLoad {
    /// Messages not settled yet: waiting, running, retrying and parked.
    pub lag: u64,
    /// Age of the oldest of them.
    pub oldest: Duration,
    /// Deliveries that run now.
    pub running: u64,
    /// Deliveries that wait for their next attempt.
    pub retrying: u64,
    /// Deliveries that wait behind an earlier one of their ordering key, or hold it.
    pub parked: u64,
    /// Dead letters that are kept.
    pub dead: u64,
    /// An operator paused it.
    pub paused: bool,
}

/// Numbers of the journal at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalLoad {
    /// Size of what is stored, in bytes.
    pub size: u64,
    /// Messages in the log.
    pub messages: u64,
    /// Messages whose time has not come.
    pub delayed: u64,
}

/// Shows how much a handler has to do.
pub fn handler_load(handler: &str, load: HandlerLoad) {
    for (name, value) in [
        (HANDLER_LAG, load.lag),
        (HANDLER_OLDEST, load.oldest.as_secs()),
        (HANDLER_RUNNING, load.running),
        (HANDLER_RETRYING, load.retrying),
        (HANDLER_PARKED, load.parked),
        (HANDLER_DEAD, load.dead),
        (HANDLER_PAUSED, u64::from(load.paused)),
    ] {
        raw::set(name, [("handler", handler)], value);
    }
}

/// Shows whether a handler's breaker is open.
pub fn handler_breaker(handler: &str, open: bool) {
    raw::set(HANDLER_BREAKER, [("handler", handler)], u64::from(open));
}

/// Shows how much the journal holds.
pub fn journal_load(load: JournalLoad) {
    for (name, value) in [
        (JOURNAL_SIZE, load.size),
        (JOURNAL_MESSAGES, load.messages),
        (JOURNAL_DELAYED, load.delayed),
    ] {
        raw::set(name, [], value);
    }
}

pub(super) fn describe() {
    for (name, text) in [
        (HANDLER_LAG, "Messages not settled yet."),
        (HANDLER_OLDEST, "Age of the oldest unsettled message."),
        (HANDLER_RUNNING, "Deliveries that run now."),
        (
            HANDLER_RETRYING,
            "Deliveries that wait for their next attempt.",
        ),
        (
            HANDLER_PARKED,
            "Deliveries behind an earlier one of their ordering key, or holding it.",
        ),
        (HANDLER_DEAD, "Dead letters that are kept."),
        (HANDLER_PAUSED, "1 while an operator has paused it."),
        (HANDLER_BREAKER, "1 while its breaker is open."),
        (JOURNAL_SIZE, "Size of what the journal stores."),
        (JOURNAL_MESSAGES, "Messages in the log."),
        (JOURNAL_DELAYED, "Messages whose time has not come."),
    ] {
        metrics::describe_gauge!(name, text);
    }
}
