//! The payments of the demo, and Stripe sending their events.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::house::House;

/// The order whose first enrolment the LMS refuses.
pub(crate) const REFUSED_ORDER: &str = "ORDER-1001";

const COURSE: &str = "course-v1:SandboxX+Commerce101+2026";
const TWO_COURSES: &str = "course-v1:SandboxX+Commerce101+2026,course-v1:SandboxX+Refunds201+2026";

/// What is paid: the amount in minor units, and the same as a person writes it.
struct Script {
    order: &'static str,
    amount: u64,
    currency: &'static str,
    written: &'static str,
    course_id: &'static str,
    /// How often Stripe sends the event: it may always send one twice.
    copies: usize,
}

const SCRIPTS: [Script; 4] = [
    Script {
        order: REFUSED_ORDER,
        amount: 14_900,
        currency: "usd",
        written: "USD 149.00",
        course_id: COURSE,
        copies: 1,
    },
    Script {
        order: "ORDER-1002",
        amount: 19_800,
        currency: "jpy",
        written: "JPY 19800",
        course_id: COURSE,
        copies: 2,
    },
    Script {
        order: "ORDER-1003",
        amount: 45_500,
        currency: "kwd",
        written: "KWD 45.500",
        course_id: COURSE,
        copies: 1,
    },
    Script {
        order: "ORDER-1004",
        amount: 29_900,
        currency: "usd",
        written: "USD 299.00",
        course_id: TWO_COURSES,
        copies: 1,
    },
];

/// One payment and the events that told of it.
pub(crate) struct Payment {
    pub(crate) order: &'static str,
    pub(crate) amount: u64,
    /// The amount with its currency, as a person writes it.
    pub(crate) written: &'static str,
    /// Courses paid for.
    pub(crate) courses: u64,
    /// Each sending of its event.
    pub(crate) events: Vec<Event>,
}

/// One sending of an event.
pub(crate) struct Event {
    pub(crate) id: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) sent_ms: u64,
    pub(crate) status: u64,
    pub(crate) took_ms: u64,
}

/// Has Stripe send every event; an event that is not taken is an error.
pub(crate) fn send(house: &House) -> Result<Vec<Payment>> {
    println!("==> Stripe sends its events");
    SCRIPTS
        .iter()
        .zip(1..)
        .map(|(script, n)| send_one(house, script, n))
        .collect()
}

fn send_one(house: &House, script: &Script, n: u64) -> Result<Payment> {
    let order = json!({
        "url": house.webhook_url(),
        "secret": house.webhook_secret(),
        "first": n,
        "template": {
            "id": "evt_demo_{n}",
            "amount": script.amount,
            "currency": script.currency,
            "order_number": script.order,
            "course_id": script.course_id,
        },
    });
    let events = (0..script.copies).map(|_| {
        let report = house.sandbox().post("/_control/stripe/send", &order)?;
        read_event(&report["events"][0])
    });
    Ok(Payment {
        order: script.order,
        amount: script.amount,
        written: script.written,
        courses: script.course_id.split(',').count() as u64,
        events: events.collect::<Result<_>>()?,
    })
}

fn read_event(sent: &Value) -> Result<Event> {
    let id = sent["event"]
        .as_str()
        .context("the sandbox reports no event")?
        .to_owned();
    let status = sent["status"].as_u64();
    let reason = sent["error"].as_str().unwrap_or("no answer");
    let status = status.with_context(|| format!("the host did not answer `{id}`: {reason}"))?;
    ensure!(
        (200..300).contains(&status),
        "the host refused `{id}` with {status}"
    );
    Ok(Event {
        id,
        sent_ms: sent["sent_ms"]
            .as_u64()
            .context("the sandbox reports no time")?,
        status,
        took_ms: sent["took_ms"].as_u64().unwrap_or_default(),
    })
}
