//! The LMS is down for longer than the host waits between two attempts, or refuses for good: nothing is given up
//! that can still succeed.

use coordinator_sandbox::Rule;
use coordinator_tests::{Payment, TestHouse, eventually};
use serde_json::Value;

const EVENTS: u64 = 20;
/// The longest backoff of [`coordinator_tests::Builder::patient`], in milliseconds.
const LONGEST_BACKOFF_MS: u64 = 300;

fn send(house: &TestHouse, events: std::ops::RangeInclusive<u64>) {
    for n in events {
        let url = house.url();
        Payment::signed(&url, &Payment::numbered(n).body())
            .send()
            .is(202);
    }
}

/// Longer than any single backoff, by the sandbox's own clock: time between the first and the last request of each order.
fn outlasted(house: &TestHouse, order: &str) -> bool {
    let entries = house.sandbox().entries();
    let of_order =
        |entry: &&coordinator_sandbox::Entry| entry.asked.order_number.as_deref() == Some(order);
    let mut times = entries.iter().filter(of_order).map(|entry| entry.at_ms);
    let first = times.next().unwrap_or(u64::MAX);
    times
        .next_back()
        .is_some_and(|last| last.saturating_sub(first) > 3 * LONGEST_BACKOFF_MS)
}

fn an_outage(status: u16) {
    let house = TestHouse::builder().payments().patient().start();
    let down = Rule::status(status);
    house.sandbox().behave(vec![down]).expect("a rule");
    send(&house, 1..=EVENTS);
    eventually("each order is refused for longer than any backoff", || {
        (1..=EVENTS)
            .all(|n| outlasted(&house, &format!("ORDER-{n}")))
            .then_some(())
    });
    assert_eq!(house.sandbox().counts().enrolled, 0);
    assert_eq!(house.handler("lms.enrol")["lag"], EVENTS);

    house.sandbox().behave(Vec::new()).expect("no rule");
    house.until_settled("lms.enrol");
    let lms = house.sandbox().counts();
    assert_eq!((lms.enrolled, lms.repeats), (EVENTS, 0));
    let payments = house.messages("org.openedx.payment.received.v1");
    assert!(payments.iter().all(|payment| payment["state"] == "acked"));
}

#[test]
fn an_lms_that_answers_503_for_long_gets_every_event_when_it_recovers() {
    an_outage(503);
}

#[test]
fn an_lms_that_answers_401_for_long_gets_every_event_when_it_recovers() {
    an_outage(401);
}

#[test]
fn an_lms_that_fails_again_and_again_is_given_a_rest_that_uses_up_no_attempt() {
    let house = TestHouse::builder()
        .payments()
        .config(
            "[wiring.handlers.\"lms.enrol\"]\nbackoff = \"10ms..10ms\"\nmax_attempts = 100\n\
             breaker = false\n[egress.breaker]\nopen_for = \"50ms..100ms\"",
        )
        .start();
    let down = Rule::status(500);
    house.sandbox().behave(vec![down]).expect("a rule");
    send(&house, 1..=EVENTS);
    // Without a rest each delivery would have used up its attempts long before so many probes were made; and with one not
    // even if all of them fall to the same delivery.
    house.log().until("still fails: it is not called", 30);
    let ready = house.get("/readyz");
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert!(
        ready["checks"].to_string().contains("not called for now"),
        "{ready}"
    );
    assert!(house.dead_letters().is_empty());

    house.sandbox().behave(Vec::new()).expect("no rule");
    house.until_settled("lms.enrol");
    let lms = house.sandbox().counts();
    assert_eq!((lms.enrolled, lms.repeats), (EVENTS, 0));
    let payments = house.messages("org.openedx.payment.received.v1");
    let failed: u64 = payments
        .iter()
        .filter_map(|payment| payment["id"].as_str())
        .filter_map(|id| {
            house.message(id)["deliveries"][0]["attempts"]
                .as_array()
                .map(Vec::len)
        })
        .map(|attempts| attempts as u64)
        .sum();
    assert_eq!(
        failed + EVENTS,
        lms.requests,
        "an attempt is a request that was made"
    );
}

#[test]
fn an_lms_that_cuts_every_connection_gets_every_event_when_it_recovers() {
    let house = TestHouse::builder().payments().patient().start();
    let cut = Rule::reset().after_enrolling().times(3);
    house.sandbox().behave(vec![cut]).expect("a rule");
    send(&house, 1..=1);
    house.until_settled("lms.enrol");
    let lms = house.sandbox().counts();
    // It cannot be known that it was done; but it is asked for as the same work.
    assert_eq!(
        (lms.enrolled, lms.repeats, lms.repeats_with_new_key),
        (1, 3, 0)
    );
}

#[test]
fn what_the_lms_refuses_is_a_dead_letter_at_once_and_a_replay_finishes_it_once_the_cause_is_mended()
{
    let house = TestHouse::builder().payments().patient().start();
    let refuse = Rule::status(422);
    house.sandbox().behave(vec![refuse]).expect("a rule");
    send(&house, 1..=3);
    house.until_settled("lms.enrol");
    let dead = house.dead_letters();
    assert_eq!(dead.len(), 3);
    for letter in &dead {
        assert_eq!(letter["handler"], "lms.enrol");
        assert_eq!(letter["attempts"], 1, "{letter}");
        assert_eq!(letter["failure"]["kind"], "refused", "{letter}");
        assert!(
            letter["failure"]["chain"].to_string().contains("422"),
            "{letter}"
        );
    }
    let ids: Vec<&str> = dead.iter().filter_map(id).collect();

    // Before the cause is mended a replay ends where it began, and earlier attempts stay.
    house.run(&["dead-letters", "replay", ids[0]]).exits(0);
    eventually("it dies again", || {
        let again = house.message(ids[0]);
        let delivery = &again["deliveries"][0];
        (delivery["state"] == "dead" && delivery["replay"] == 1).then_some(())
    });
    let attempts = house.message(ids[0])["deliveries"][0]["attempts"].clone();
    assert_eq!(attempts.as_array().map(Vec::len), Some(2), "{attempts}");

    house.sandbox().behave(Vec::new()).expect("no rule");
    let replay = format!("/api/v1/dead-letters/{}/replay", ids[0]);
    let answer = house.ask("POST", &replay).key().send().is(202).json();
    assert_eq!(answer["scheduled"], 1);
    let rest = [
        "dead-letters",
        "replay",
        "--all",
        "--yes",
        "--handler",
        "lms.enrol",
    ];
    house.run(&rest).exits(0);
    house.until_settled("lms.enrol");
    eventually("no dead letter is left", || {
        house.dead_letters().is_empty().then_some(())
    });
    assert_eq!(house.sandbox().counts().enrolled, 3);
    for id in ids {
        let message = house.message(id);
        assert_eq!(message["state"], "acked", "{message}");
        assert_eq!(
            message["children"].as_array().map(Vec::len),
            Some(1),
            "{message}"
        );
    }
}

fn id(letter: &Value) -> Option<&str> {
    letter["message"]["id"].as_str()
}

#[test]
fn a_payment_without_a_user_name_is_published_and_its_dead_letter_names_the_field() {
    let mut house = TestHouse::builder().payments().start();
    let url = house.url();
    for (n, field) in ["username", "order_number", "course_id"]
        .into_iter()
        .enumerate()
    {
        let mut payment = Payment::numbered(n as u64);
        payment.template.omit = vec![field.to_owned()];
        Payment::signed(&url, &payment.body()).send().is(202);
    }
    house.until_settled("lms.enrol");
    let dead = house.dead_letters();
    for (letter, field) in dead.iter().zip(["username", "order_number", "course_id"]) {
        let reason = letter["failure"]["chain"][0].as_str().unwrap_or_default();
        assert!(reason.contains(&format!("`{field}`")), "{letter}");
        assert_eq!(letter["attempts"], 1);
    }
    house.expect_dead_letters(3);
}
