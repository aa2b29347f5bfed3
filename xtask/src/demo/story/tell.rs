//! From what the host and the LMS recorded to lines in the order they happened.

use serde_json::Value;

use super::{Story, items, seconds, text, time_ms};

/// What happens to a message, in its usual order: within one millisecond it is told so.
const VERBS: [&str; 9] = [
    "received",
    "published",
    "delivered",
    "waited",
    "refused",
    "enrolled",
    "backoff",
    "acked",
    "emitted",
];

/// What happened when.
pub(super) struct Line {
    pub(super) at_ms: u64,
    /// One of [`VERBS`].
    pub(super) verb: &'static str,
    pub(super) what: String,
}

impl Line {
    const fn new(at_ms: u64, verb: &'static str, what: String) -> Self {
        Self { at_ms, verb, what }
    }
}

/// The lines of a story so far.
pub(super) fn lines(story: &Story<'_>) -> Vec<Line> {
    let mut lines = events(story);
    if let Some(message) = &story.message {
        let what = format!(
            "{} as {}, on disk",
            text(&message["type"]),
            text(&message["id"])
        );
        lines.push(Line::new(time_ms(&message["accepted"]), "published", what));
        for delivery in items(&message["deliveries"]) {
            lines.extend(attempts(story, delivery));
        }
    }
    lines.extend(story.calls.iter().map(call));
    for child in &story.children {
        let what = format!("{}, in one write with the ack", text(&child["type"]));
        lines.push(Line::new(time_ms(&child["accepted"]), "emitted", what));
    }
    lines.sort_by_key(|line| {
        let rank = VERBS.iter().position(|verb| *verb == line.verb);
        (line.at_ms, rank)
    });
    lines
}

fn events(story: &Story<'_>) -> Vec<Line> {
    let events = story.payment.events.iter().enumerate();
    let told = events.map(|(copy, event)| {
        let again = if copy == 0 {
            ""
        } else {
            " again, as Stripe may"
        };
        let what = format!(
            "{}{again}: answered {} in {} ms",
            event.id, event.status, event.took_ms
        );
        Line::new(event.sent_ms, "received", what)
    });
    told.collect()
}

fn attempts(story: &Story<'_>, delivery: &Value) -> Vec<Line> {
    let handler = text(&delivery["handler"]);
    let failed = items(&delivery["attempts"]);
    let mut starts: Vec<u64> = failed
        .iter()
        .map(|attempt| time_ms(&attempt["started"]))
        .collect();
    let is_acked = delivery["state"] == "acked";
    if is_acked {
        starts.extend(last_start(story, failed));
    }
    let mut lines = Vec::new();
    for (started_ms, number) in starts.iter().zip(1..) {
        lines.push(Line::new(
            *started_ms,
            "delivered",
            format!("to {handler}, attempt {number}"),
        ));
    }
    for (attempt, next_ms) in failed.iter().zip(starts.iter().skip(1)) {
        let ended_ms = ended_ms(attempt);
        let what = format!(
            "{} until the next attempt",
            seconds(next_ms.saturating_sub(ended_ms))
        );
        lines.push(Line::new(ended_ms, "backoff", what));
    }
    if is_acked {
        let emitted_ms = story
            .children
            .first()
            .map(|child| time_ms(&child["accepted"]));
        let called_ms = story.calls.last().map(|call| time_ms(&call["at_ms"]));
        let acked_ms = emitted_ms.or(called_ms).unwrap_or_default();
        lines.push(Line::new(acked_ms, "acked", format!("by {handler}")));
    }
    lines
}

/// Only failed attempts are recorded one by one: the one that succeeded began just before the first
/// call that the LMS answered after the last failure.
fn last_start(story: &Story<'_>, failed: &[Value]) -> Option<u64> {
    let failed_ms = failed.last().map_or(0, ended_ms);
    let taken = story.calls.iter().filter(|call| call["status"] == 200);
    taken
        .map(|call| time_ms(&call["at_ms"]))
        .find(|at_ms| *at_ms > failed_ms)
}

fn ended_ms(attempt: &Value) -> u64 {
    time_ms(&attempt["started"]) + attempt["ran_ms"].as_u64().unwrap_or_default()
}

fn call(call: &Value) -> Line {
    let course = text(&call["asked"]["course"]);
    let (verb, what) = match call["status"].as_u64() {
        Some(200) => ("enrolled", format!("in {course}: the LMS answered 200")),
        Some(status) => ("refused", format!("{status} by the LMS")),
        None => (
            "waited",
            "for an answer of the LMS that never came".to_owned(),
        ),
    };
    Line::new(time_ms(&call["at_ms"]), verb, what)
}
