//! The story of one payment, put together from the host's API and the LMS's ledger.

mod tell;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::house::House;
use super::payments::Payment;

/// One payment with what became of it so far.
pub(crate) struct Story<'a> {
    payment: &'a Payment,
    /// Messages accepted from outside for this order; one, however often its event came.
    pub(crate) accepted: usize,
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
        let is_from_outside = |message: &&Value| message["cause"].is_null();
        let accepted: Vec<&Value> = items(&list["items"])
            .iter()
            .filter(is_from_outside)
            .collect();
        let message = accepted
            .first()
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
            accepted: accepted.len(),
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
        if self.accepted > 1 {
            return vec![format!(
                "{order}: {} messages were accepted instead of one",
                self.accepted
            )];
        }
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
        for tell::Line { at_ms, verb, what } in tell::lines(self) {
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
