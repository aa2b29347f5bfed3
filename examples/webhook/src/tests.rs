//! The test host calls routes as the host does after a signature was verified.

use coordinator_sdk::testing::{Call, Host};

use super::*;

fn host() -> Host<Webhook> {
    Host::new(serde_json::json!({"keys": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}))
}

fn event(kind: &str, currency: &str) -> Call {
    let amount = serde_json::json!({"minor": 4900, "currency": currency});
    let event = serde_json::json!({"kind": kind, "order": "A-7", "amount": amount});
    Call::post("/events").json(&event).webhook_id("evt_1")
}

#[test]
fn an_event_that_is_sent_again_is_one_message() {
    let host = host();
    for _ in 0..3 {
        assert_eq!(host.call(event("charge.settled", "EUR")).status, 202);
    }
    let settled: Vec<ChargeSettled> = host.published();
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[0].amount.minor, 4900);
    host.deliver(&settled[0]).expect("it is booked");
}

#[test]
fn an_amount_in_no_currency_is_refused() {
    let host = host();
    assert_eq!(host.call(event("charge.settled", "coins")).status, 400);
    assert!(host.published::<ChargeSettled>().is_empty());
}

#[test]
fn what_is_not_ours_is_answered_and_left_alone() {
    let host = host();
    assert_eq!(host.call(event("charge.disputed", "EUR")).status, 200);
    assert!(host.published::<ChargeSettled>().is_empty());
}

#[test]
fn the_manifest_says_how_the_sender_is_verified() {
    let host = host();
    let route = &host.manifest().routes[0];
    let access = serde_json::to_value(&route.access).expect("it is plain data");
    assert_eq!(access["verify"]["scheme"], "standard_webhooks");
    assert_eq!(access["verify"]["setting"], "keys");
}
