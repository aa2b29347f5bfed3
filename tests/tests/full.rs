//! A journal that takes nothing: 503 with Retry-After and never 2xx, nothing half-written, and it goes on by itself.

use coordinator_sandbox::Rule;
use coordinator_tests::{Answer, Payment, TestHouse, eventually};
use serde_json::json;

const PAYMENT: &str = "org.openedx.payment.received.v1";
const FULFILMENT: &str = "org.openedx.fulfilment.completed.v1";

/// Sends payments until one is refused; returns how many were taken.
#[track_caller]
fn fill(house: &TestHouse) -> (u64, Answer) {
    for n in 1..=5_000 {
        let answer = Payment::signed(&house.url(), &Payment::numbered(n).body()).send();
        if !answer.is_success() {
            return (n - 1, answer);
        }
    }
    panic!("the journal is never full");
}

/// It was said to be temporary, and why.
#[track_caller]
fn is_refusal(answer: Answer, code: &str) {
    let answer = answer.is(503);
    assert!(answer.retry_after().is_some_and(|seconds| seconds > 0));
    assert_eq!(answer.problem().0, code, "{}", answer.text());
}

/// Publishes a payment through the API.
fn publish(house: &TestHouse) -> Answer {
    let data = json!({
        "processor": "tests", "payment": "pay_api", "order": "API-1", "order_number": "API-1",
        "username": "learner-api", "courses": ["course-v1:A+B+C"],
        "amount": {"minor": 100, "currency": "USD"}, "paid_at": "2026-01-15T09:30:00Z",
    });
    let event = json!({"specversion": "1.0", "id": "api-1", "source": "/tests", "type": PAYMENT, "data": data});
    house
        .ask("POST", "/api/v1/messages")
        .key()
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string())
        .send()
}

#[test]
fn a_full_backlog_is_refused_and_goes_on_by_itself_when_the_lms_is_back() {
    let house = TestHouse::builder()
        .payments()
        .patient()
        .config("[journal]\nmax_backlog = 10")
        .start();
    house
        .sandbox()
        .behave(vec![Rule::status(503)])
        .expect("a rule");
    let (taken, refusal) = fill(&house);
    is_refusal(refusal, "journal-full");
    is_refusal(publish(&house), "journal-full");
    assert_eq!(house.messages(PAYMENT).len() as u64, taken);
    assert!(house.messages(FULFILMENT).is_empty());

    house.sandbox().behave(Vec::new()).expect("no rule");
    house.until_settled("lms.enrol");
    eventually("there is room again", || {
        let answer = Payment::numbered(taken + 1).post(&house.url())?;
        answer.is_success().then_some(())
    });
    publish(&house).is(202);
    house.until_settled("lms.enrol");
    assert_eq!(house.sandbox().counts().enrolled, taken + 2);
}

#[test]
fn a_full_disk_budget_is_refused_and_what_was_taken_is_still_delivered() {
    let mut house = TestHouse::builder()
        .payments()
        .patient()
        .config("[journal]\nmax_size = \"192KiB\"")
        .start();
    house
        .sandbox()
        .behave(vec![Rule::status(503)])
        .expect("a rule");
    let (taken, refusal) = fill(&house);
    is_refusal(refusal, "journal-full");
    is_refusal(publish(&house), "journal-full");
    // A start does not make room, and does not forget that there is none.
    house.kill();
    house.start();
    is_refusal(publish(&house), "journal-full");
    assert_eq!(house.messages(PAYMENT).len() as u64, taken);

    // Acks and what they publish have room where new messages have none.
    house.sandbox().behave(Vec::new()).expect("no rule");
    house.until_settled("lms.enrol");
    assert_eq!(house.messages(FULFILMENT).len() as u64, taken);
    assert_eq!(house.sandbox().counts().enrolled, taken);
}

#[test]
fn a_journal_that_cannot_be_written_is_refused_and_goes_on_by_itself_when_it_can() {
    let house = TestHouse::builder().payments().patient().start();
    let url = house.url();
    Payment::signed(&url, &Payment::numbered(1).body())
        .send()
        .is(202);
    house.until_settled("lms.enrol");

    house.limit_files(Some(1));
    for n in 2..=4 {
        let refusal = Payment::signed(&url, &Payment::numbered(n).body()).send();
        is_refusal(refusal, "journal-unavailable");
    }
    is_refusal(publish(&house), "journal-unavailable");
    let ready = house.ask("GET", "/readyz?verbose").send();
    let health = house.ask("GET", "/health").send();
    assert_eq!(
        (ready.status, health.status),
        (503, 503),
        "{}",
        ready.text()
    );
    assert_eq!(health.json()["overall_status"], "UNAVAILABLE");

    house.limit_files(None);
    eventually("it takes messages again", || {
        let answer = Payment::numbered(5).post(&url)?;
        answer.is_success().then_some(())
    });
    house.until_settled("lms.enrol");
    // What was refused is not there, not even a part of it.
    assert_eq!(house.messages(PAYMENT).len(), 2);
    assert_eq!(house.messages(FULFILMENT).len(), 2);
    assert_eq!(house.sandbox().counts().requests, 2);
    eventually("it is ready", || {
        (house.ask("GET", "/readyz").send().status == 200).then_some(())
    });
}

#[test]
fn deliveries_that_end_while_the_journal_cannot_be_written_are_settled_later() {
    let house = TestHouse::builder().payments().patient().start();
    let held = Rule::delay(std::time::Duration::from_millis(500));
    house.sandbox().behave(vec![held]).expect("a rule");
    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .send()
        .is(202);
    eventually("the LMS is at it", || {
        (house.sandbox().counts().requests == 1).then_some(())
    });
    house.limit_files(Some(1));
    eventually("the LMS has answered", || {
        (house.sandbox().counts().enrolled == 1).then_some(())
    });
    let unavailable = || publish(&house).status == 503;
    eventually("the journal is known to be unavailable", || {
        unavailable().then_some(())
    });
    house.limit_files(None);
    house.until_settled("lms.enrol");
    assert_eq!(house.messages(FULFILMENT).len(), 1);
    let lms = house.sandbox().counts();
    assert_eq!((lms.enrolled, lms.repeats_with_new_key), (1, 0));
}
