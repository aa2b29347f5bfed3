//! What becomes of each failure.

use std::time::Duration;

use coordinator_sdk::testing::{Call, Failed, Host};

use super::*;

fn host() -> Host<Errors> {
    Host::new(serde_json::json!({"bookings": "https://bookings.test/seats"}))
}

fn wanted(course: &str, seats: &str) -> SeatWanted {
    SeatWanted {
        course: course.to_owned(),
        seats: seats.to_owned(),
    }
}

fn failed(host: &Host<Errors>, course: &str, seats: &str) -> Failed {
    host.deliver(&wanted(course, seats)).expect_err("it fails")
}

#[test]
fn what_no_attempt_can_help_is_a_dead_letter() {
    let host = host();
    assert!(!failed(&host, "rust", "two").is_retry());
    assert!(!failed(&host, "rust", "0").is_retry());
    for status in [400, 404, 422] {
        host.reply(status);
        assert!(!failed(&host, "rust", "2").is_retry(), "{status}");
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let host = host();
    for status in [401, 403, 408, 429, 500, 503] {
        host.reply(status);
        assert!(failed(&host, "rust", "2").is_retry(), "{status}");
    }
    host.cut();
    assert!(failed(&host, "rust", "2").is_retry());
}

#[test]
fn a_wait_is_told() {
    let host = host();
    let later = failed(&host, "opens-tomorrow", "2");
    assert_eq!(later.after(), Some(Duration::from_secs(24 * 3600)));
    host.reply_with(503, &[("retry-after", "7")], &serde_json::json!({}));
    assert_eq!(
        failed(&host, "rust", "2").after(),
        Some(Duration::from_secs(7))
    );
}

#[test]
fn what_was_done_before_is_done() {
    let host = host();
    host.reply(409);
    host.deliver(&wanted("rust", "2")).expect("it is booked");
}

#[test]
fn a_caller_reads_a_code_and_a_sentence_and_nothing_of_what_nobody_expected() {
    let host = host();
    let malformed = host.call(Call::post("/seats").body("{}"));
    assert_eq!(
        (malformed.status, malformed.code.as_deref()),
        (400, Some("malformed-body"))
    );
    let refused = host.call(Call::post("/seats").json(&wanted("", "1")));
    assert_eq!(
        (refused.status, refused.code.as_deref()),
        (422, Some("no-course"))
    );
    let broken = host.call(Call::get("/broken"));
    assert_eq!(
        (broken.status, broken.body.as_slice()),
        (500, b"".as_slice())
    );
}
