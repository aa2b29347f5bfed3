//! Without a server: the test host of the SDK. Signatures are the host's business.

use coordinator_sdk::testing::{Answer, Call, Host};
use serde_json::{Value, json};

use super::*;

fn host() -> Host<Stripe> {
    Host::new(json!({"webhook_secret": ["whsec_test"]}))
}

fn event(ty: &str, object: &Value) -> Value {
    json!({"id": "evt_1", "type": ty, "created": 1_790_000_000, "data": {"object": object}})
}

fn intent(amount: i64, currency: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "amount_received": amount, "currency": currency,
        "metadata": {"order_number": "EDX-1", "username": "ada", "course_id": "course-v1:A+B+C, course-v1:D+E+F"},
    })
}

fn post(host: &Host<Stripe>, body: &Value) -> Answer {
    host.call(Call::post("/webhook").webhook_id("evt_1").json(body))
}

#[test]
fn money_stays_an_integer_of_minor_units_in_every_currency() {
    for (amount, currency, shown) in [
        (1_999, "usd", "19.99 USD"),
        (1_999, "jpy", "1999 JPY"),
        (1_999, "kwd", "1.999 KWD"),
    ] {
        let host = host();
        let answer = post(
            &host,
            &event("payment_intent.succeeded", &intent(amount, currency)),
        );
        assert_eq!(answer.status, 202);
        let paid: Vec<PaymentReceived> = host.published();
        assert_eq!(paid[0].amount.minor, amount);
        assert_eq!(paid[0].amount.to_string(), shown);
    }
}

#[test]
fn several_courses_are_told_apart() {
    let host = host();
    let _ = post(&host, &event("payment_intent.succeeded", &intent(1, "usd")));
    let paid: Vec<PaymentReceived> = host.published();
    assert_eq!(paid[0].courses, ["course-v1:A+B+C", "course-v1:D+E+F"]);
    assert_eq!(paid[0].order, "EDX-1");
}

#[test]
fn a_payment_without_metadata_is_still_published() {
    let host = host();
    let bare = json!({"id": "pi_1", "amount_received": 5, "currency": "usd", "metadata": {}});
    assert_eq!(
        post(&host, &event("payment_intent.succeeded", &bare)).status,
        202
    );
    let paid: Vec<PaymentReceived> = host.published();
    assert_eq!(
        (paid[0].username.as_deref(), paid[0].order.as_str()),
        (None, "pi_1")
    );
}

#[test]
fn the_same_event_twice_is_one_message() {
    let host = host();
    for _ in 0..2 {
        let _ = post(&host, &event("payment_intent.succeeded", &intent(1, "usd")));
    }
    assert_eq!(host.published::<PaymentReceived>().len(), 1);
}

#[test]
fn an_event_that_is_not_handled_is_answered_200_ignored() {
    let host = host();
    let answer = post(&host, &event("customer.created", &json!({"id": "cus_1"})));
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["status"]), (200, &json!("ignored")));
    assert!(host.published::<PaymentReceived>().is_empty());
}

#[test]
fn a_body_of_another_shape_is_refused_by_naming_what_is_wrong() {
    let host = host();
    for (body, says) in [
        (json!({"id": "evt_1"}), "missing field"),
        (
            event(
                "payment_intent.succeeded",
                &json!({"id": "pi_1", "currency": "usd"}),
            ),
            "amount_received",
        ),
        (
            event(
                "payment_intent.succeeded",
                &json!({"id": "pi_1", "amount_received": 19.99, "currency": "usd"}),
            ),
            "i64",
        ),
        (
            event(
                "payment_intent.succeeded",
                &json!({"id": "pi_1", "amount_received": 1, "currency": "dollars"}),
            ),
            "ISO 4217",
        ),
    ] {
        let answer = post(&host, &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            String::from_utf8_lossy(&answer.body).contains(says),
            "{:?}",
            String::from_utf8_lossy(&answer.body)
        );
    }
}
