//! Without a server: the test host of the SDK plays the LMS.

use coordinator_sdk::testing::Host;
use serde_json::{Value, json};

use super::*;

fn host() -> Host<Lms> {
    Host::new(json!({"base_url": "http://lms.test", "token": "t0ken"}))
}

fn paid(courses: &[&str]) -> PaymentReceived {
    PaymentReceived {
        processor: "stripe".to_owned(),
        payment: "pi_1".to_owned(),
        order: "EDX-1".to_owned(),
        order_number: Some("EDX-1".to_owned()),
        username: Some("ada".to_owned()),
        courses: courses.iter().map(|course| (*course).to_owned()).collect(),
        amount: Money::new(1_999, "USD".parse().expect("a currency")),
        paid_at: Timestamp::from_millis(1_790_000_000_000),
    }
}

#[test]
fn every_course_of_a_payment_is_enrolled_and_reported() {
    let host = host();
    host.deliver(&paid(&["course-v1:A+B+C", "course-v1:D+E+F"]))
        .expect("enrols");
    let sent = host.requests();
    assert_eq!(sent[0].url, "http://lms.test/api/enrollment/v1/enrollment");
    assert!(
        sent[0]
            .headers
            .contains(&("authorization".to_owned(), b"Bearer t0ken".to_vec()))
    );
    let body: Value = serde_json::from_slice(&sent[1].body).expect("JSON");
    assert_eq!(body["course_details"]["course_id"], "course-v1:D+E+F");
    assert_eq!(
        body["enrollment_attributes"][0],
        json!({"namespace": "order", "name": "order_number", "value": "EDX-1"})
    );
    let done: Vec<FulfilmentCompleted> = host.published();
    assert_eq!(done.len(), 2);
}

#[test]
fn a_busy_lms_is_retried_when_it_says_and_a_refusal_is_not() {
    let host = host();
    host.reply_with(503, &[("Retry-After", "7")], &json!({}));
    let failed = host
        .deliver(&paid(&["course-v1:A+B+C"]))
        .expect_err("the LMS is busy");
    assert!(failed.is_retry());
    assert_eq!(failed.after(), Some(std::time::Duration::from_secs(7)));

    for (status, retried) in [
        (401, true),
        (429, true),
        (500, true),
        (400, false),
        (422, false),
    ] {
        host.reply(status);
        let failed = host
            .deliver(&paid(&["course-v1:A+B+C"]))
            .expect_err("the LMS refuses");
        assert_eq!(failed.is_retry(), retried, "{status}");
    }
    host.cut();
    assert!(
        host.deliver(&paid(&["course-v1:A+B+C"]))
            .expect_err("cut off")
            .is_retry()
    );
    assert!(host.published::<FulfilmentCompleted>().is_empty());
}

#[test]
fn a_payment_that_lacks_a_field_is_a_dead_letter_that_names_it() {
    let host = host();
    let cases = [
        (
            PaymentReceived {
                username: None,
                ..paid(&["c"])
            },
            "username",
        ),
        (
            PaymentReceived {
                order_number: None,
                ..paid(&["c"])
            },
            "order_number",
        ),
        (paid(&[]), "course_id"),
    ];
    for (payment, field) in cases {
        let failed = host.deliver(&payment).expect_err("it lacks a field");
        assert!(!failed.is_retry());
        assert!(failed.chain()[0].contains(field));
    }
    assert!(host.requests().is_empty());
}
