//! The story of one payment, put together from the host's API and the LMS's ledger.

use std::fmt;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::house::House;
use super::payments::Payment;

/// What happened when.
struct Line {
    at_ms: u64,
    verb: &'static str,
    what: String,
}

/// One payment with what became of it so far.
pub(crate) struct Story<'a> {
    payment: &'a Payment,
    /// The message as the API shows it; none until it is accepted.
    message: Option<Value>,
    /// Messages that were emitted for it, likewise.
    children: Vec<Value>,
    /// The LMS's ledger entries of this order.
    calls: Vec<Value>,
}

impl<'a> Story<'a> {
    pub(crate) fn read(house: &House, payment: &'a Payment) -> Result<Self> {
        let list = house
            .api()
            .get(&format!("/api/v1/messages?key={}", payment.order))?;
        let message = items(&list["items"])
            .iter()
            .find(|message| message["cause"].is_null());
        let message = message
            .map(|message| detail(house, &message["id"]))
            .transpose()?;
        let children = message
            .as_ref()
            .map_or(&[][..], |message| items(&message["children"]));
        let children = children
            .iter()
            .map(|id| detail(house, id))
            .collect::<Result<_>>()?;
        let ledger = house.sandbox().get("/_control/ledger?limit=10000")?;
        let is_ours = |entry: &&Value| entry["asked"]["order_number"] == payment.order;
        let calls = items(&ledger["entries"])
            .iter()
            .filter(is_ours)
            .cloned()
            .collect();
        Ok(Self {
            payment,
            message,
            children,
            calls,
        })
    }

    /// What is not yet as it should be, one line each.
    pub(crate) fn missing(&self) -> Vec<String> {
        let order = self.payment.order;
        let Some(message) = &self.message else {
            return vec![format!("{order}: no message was accepted")];
        };
        let deliveries = items(&message["deliveries"]);
        if deliveries.is_empty() {
            return vec![format!(
                "{order}: no handler is bound to {}",
                text(&message["type"])
            )];
        }
        let children = self
            .children
            .iter()
            .flat_map(|child| items(&child["deliveries"]));
        let open = deliveries
            .iter()
            .chain(children)
            .filter(|delivery| delivery["state"] != "acked");
        open.map(|delivery| {
            let (handler, state, attempt) = (
                text(&delivery["handler"]),
                text(&delivery["state"]),
                &delivery["attempt"],
            );
            format!("{order}: {handler} is {state}, attempt {attempt}")
        })
        .collect()
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.tell_events(&mut lines);
        let Some(message) = &self.message else {
            return lines;
        };
        let accepted_ms = time_ms(&message["accepted"]);
        let what = format!(
            "{} as {}, on disk",
            text(&message["type"]),
            text(&message["id"])
        );
        lines.push(Line {
            at_ms: accepted_ms,
            verb: "published",
            what,
        });
        for delivery in items(&message["deliveries"]) {
            self.tell_delivery(delivery, &mut lines);
        }
        self.tell_calls(&mut lines);
        for child in &self.children {
            let what = format!("{}, in one write with the ack", text(&child["type"]));
            lines.push(Line {
                at_ms: time_ms(&child["accepted"]),
                verb: "emitted",
                what,
            });
        }
        // Stable: what happened in the same millisecond stays in the order it was told.
        lines.sort_by_key(|line| line.at_ms);
        lines
    }

    fn tell_events(&self, lines: &mut Vec<Line>) {
        for (copy, event) in self.payment.events.iter().enumerate() {
            let again = if copy == 0 {
                ""
            } else {
                " again, as Stripe may"
            };
            let what = format!(
                "{}{again}: answered {} in {} ms",
                event.id, event.status, event.took_ms
            );
            lines.push(Line {
                at_ms: event.sent_ms,
                verb: "received",
                what,
            });
        }
    }

    fn tell_delivery(&self, delivery: &Value, lines: &mut Vec<Line>) {
        let handler = text(&delivery["handler"]);
        let failed = items(&delivery["attempts"]);
        for attempt in failed {
            let (number, started_ms) = (&attempt["attempt"], time_ms(&attempt["started"]));
            lines.push(Line {
                at_ms: started_ms,
                verb: "delivered",
                what: format!("to {handler}, attempt {number}"),
            });
            let ended_ms = started_ms + attempt["ran_ms"].as_u64().unwrap_or_default();
            let next_ms = self
                .calls
                .iter()
                .map(|call| time_ms(&call["at_ms"]))
                .find(|at_ms| *at_ms > ended_ms);
            if let Some(wait_ms) = next_ms.map(|next_ms| next_ms - ended_ms) {
                let what = format!("{} until the next attempt", seconds(wait_ms));
                lines.push(Line {
                    at_ms: ended_ms,
                    verb: "backoff",
                    what,
                });
            }
        }
        if delivery["state"] != "acked" {
            return;
        }
        // Only failed attempts are recorded one by one: the last one began just before its first call.
        let last_failed_ms = failed
            .last()
            .map_or(0, |attempt| time_ms(&attempt["started"]) + 1);
        let mut calls = self.calls.iter().filter(|call| call["status"] == 200);
        let is_after = |call: &&Value| time_ms(&call["at_ms"]) >= last_failed_ms;
        let (first, last) = (calls.clone().find(is_after), calls.next_back());
        if let (Some(first), Some(last)) = (first, last) {
            let what = format!("to {handler}, attempt {}", failed.len() + 1);
            lines.push(Line {
                at_ms: time_ms(&first["at_ms"]),
                verb: "delivered",
                what,
            });
            let acked_ms = self
                .children
                .first()
                .map_or(time_ms(&last["at_ms"]), |child| time_ms(&child["accepted"]));
            lines.push(Line {
                at_ms: acked_ms,
                verb: "acked",
                what: format!("by {handler}"),
            });
        }
    }

    fn tell_calls(&self, lines: &mut Vec<Line>) {
        for call in &self.calls {
            let (at_ms, status) = (time_ms(&call["at_ms"]), &call["status"]);
            let course = text(&call["asked"]["course"]);
            let (verb, what) = match status.as_u64() {
                Some(200) => ("enrolled", format!("in {course}: the LMS answered 200")),
                Some(status) => ("refused", format!("{status} by the LMS")),
                None => (
                    "waited",
                    "for an answer of the LMS that never came".to_owned(),
                ),
            };
            lines.push(Line { at_ms, verb, what });
        }
    }
}

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Payment {
            order,
            amount,
            written,
            courses,
            events,
        } = self.payment;
        let plural = if *courses == 1 { "" } else { "s" };
        write!(
            f,
            "{order}: {written} ({amount} minor units), {courses} course{plural}"
        )?;
        let start_ms = events.first().map_or(0, |event| event.sent_ms);
        for Line { at_ms, verb, what } in self.lines() {
            write!(
                f,
                "\n  {:>8}  {verb:<9}  {what}",
                seconds(at_ms.saturating_sub(start_ms))
            )?;
        }
        Ok(())
    }
}

fn detail(house: &House, id: &Value) -> Result<Value> {
    let id = id.as_str().context("a message of the API has no id")?;
    house.api().get(&format!("/api/v1/messages/{id}"))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Milliseconds since the Unix epoch, from such a number or from RFC 3339 text.
fn time_ms(value: &Value) -> u64 {
    let parsed = || {
        let time = humantime::parse_rfc3339(value.as_str()?).ok()?;
        u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    };
    value.as_u64().or_else(parsed).unwrap_or_default()
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}
