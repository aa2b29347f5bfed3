//! Money is an integer of the currency's minor unit, from the webhook to the stored message and the API's answer.

use coordinator_tests::{Payment, TestHouse};
use serde_json::json;

#[test]
fn amounts_stay_the_integers_that_stripe_sends() {
    let house = TestHouse::builder().payments().start();
    let url = house.url();
    // Two decimals, none, three; and one that no binary fraction of 64 bits holds.
    let amounts = [
        ("usd", 14_900_u64),
        ("jpy", 5_000),
        ("kwd", 12_345),
        ("usd", 9_007_199_254_740_993),
    ];
    for (n, (currency, amount)) in amounts.iter().enumerate() {
        let mut payment = Payment::numbered(n as u64);
        payment.template.currency = (*currency).to_owned();
        payment.template.amount = *amount;
        Payment::signed(&url, &payment.body()).send().is(202);
    }
    let stored = house.messages("org.openedx.payment.received.v1");
    assert_eq!(stored.len(), amounts.len());
    for (message, (currency, amount)) in stored.iter().zip(amounts) {
        let id = message["id"].as_str().expect("every message has an id");
        let path = format!("/api/v1/messages/{id}");
        let answer = house.ask("GET", &path).key().send().is(200);
        let expected = json!({"minor": amount, "currency": currency.to_uppercase()});
        assert_eq!(answer.json()["data"]["amount"], expected);
        // As it is written, too: 5000 and not 5000.0 or 5e3.
        assert!(answer.text().contains(&format!("\"minor\":{amount}")));
        let shown = house.run(&["messages", "show", id, "--payload"]).exits(0);
        assert!(shown.out.contains(&amount.to_string()), "{}", shown.out);
    }
    house.until_settled("lms.enrol");
}

#[test]
fn an_amount_that_is_no_integer_is_refused() {
    let house = TestHouse::builder().payments().start();
    let body = Payment::numbered(1).body();
    for amount in ["149.00", "1.49e2", "\"149\"", "null", "9223372036854775808"] {
        let body = body.replace(
            "\"amount_received\":14900",
            &format!("\"amount_received\":{amount}"),
        );
        let (code, detail) = Payment::signed(&house.url(), &body)
            .send()
            .is(400)
            .problem();
        assert_eq!(code, "malformed-body", "{amount}: {detail}");
    }
    assert!(house.messages("org.openedx.payment.received.v1").is_empty());
}
