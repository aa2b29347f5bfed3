//! Stories told from recorded answers.

use serde_json::json;

use super::*;
use crate::demo::payments::Event;

const START_MS: u64 = 1_767_225_600_000;

fn payment() -> Payment {
    let event = Event {
        id: "evt_demo_1".to_owned(),
        sent_ms: START_MS,
        status: 200,
        took_ms: 6,
    };
    Payment {
        order: "ORDER-1001",
        amount: 14_900,
        written: "USD 149.00",
        courses: 1,
        events: vec![event],
    }
}

fn message(state: &str) -> Value {
    json!({
        "id": "m-1", "type": "org.openedx.payment.received.v1", "accepted": "2026-01-01T00:00:00.004Z",
        "deliveries": [{
            "handler": "lms.enrol", "state": state, "attempt": 2,
            "attempts": [{ "attempt": 1, "started": "2026-01-01T00:00:00.007Z", "ran_ms": 3 }],
        }],
    })
}

#[test]
fn a_refused_delivery_is_told_in_the_order_it_happened() {
    let call = |after_ms: u64, status: u64| json!({ "at_ms": START_MS + after_ms, "status": status, "asked": { "course": "course-v1:a+b+c" } });
    let payment = payment();
    let story = Story {
        payment: &payment,
        accepted: 1,
        message: Some(message("acked")),
        children: vec![
            json!({ "type": "org.openedx.enrolled.v1", "accepted": "2026-01-01T00:00:01.215Z" }),
        ],
        calls: vec![call(9, 503), call(1_211, 200)],
    };
    assert!(story.missing().is_empty());
    let verbs: Vec<&str> = tell::lines(&story).iter().map(|line| line.verb).collect();
    let expected = [
        "received",
        "published",
        "delivered",
        "refused",
        "backoff",
        "delivered",
        "enrolled",
        "acked",
        "emitted",
    ];
    assert_eq!(verbs, expected);
    let told = story.to_string();
    assert!(
        told.starts_with("ORDER-1001: USD 149.00 (14900 minor units), 1 course\n"),
        "{told}"
    );
    assert!(
        told.contains("0.010 s  backoff    1.201 s until the next attempt"),
        "{told}"
    );
    assert!(
        told.contains("1.211 s  delivered  to lms.enrol, attempt 2"),
        "{told}"
    );
}

#[test]
fn what_is_missing_is_named_by_order_handler_and_state() {
    let payment = payment();
    let story = |message| Story {
        payment: &payment,
        accepted: 1,
        message,
        children: Vec::new(),
        calls: Vec::new(),
    };
    assert_eq!(
        story(None).missing(),
        ["ORDER-1001: no message was accepted"]
    );
    assert_eq!(
        story(Some(message("retrying"))).missing(),
        ["ORDER-1001: lms.enrol is retrying, attempt 2"]
    );
}
