//! What people are called and where they can be reached is in the payload and nowhere else: not in the log, however
//! talkative, and not in what the command line shows unasked. Nor is a secret.

use coordinator_sandbox::Rule;
use coordinator_tests::{API_KEY, LMS_TOKEN, Payment, STRIPE_SECRET, TestHouse, built, eventually};
use serde_json::json;

/// Every piece of personal data and every secret of a test, and where it was found.
fn leaks(place: &str, text: &str) -> Vec<String> {
    let private = [
        "example.com",
        "Quinn",
        "Payer-",
        "555 0100",
        "Sandbox Street",
        "Springfield",
        API_KEY,
        LMS_TOKEN,
        STRIPE_SECRET,
        // Without their public beginning, too.
        "houseSecret",
    ];
    let found = private.into_iter().filter_map(|secret| {
        let line = text.lines().find(|line| line.contains(secret))?;
        Some(format!("`{secret}` in {place}: {line}"))
    });
    found.collect()
}

/// Everything that a payment goes through: taken, refused, retried, given up, looked at, replayed.
fn live_through(house: &TestHouse) -> Vec<String> {
    let url = house.url();
    let lms = house.sandbox();
    lms.behave(vec![Rule::status(503).times(2)])
        .expect("a rule");
    for n in 1..=3 {
        Payment::signed(&url, &Payment::numbered(n).body())
            .send()
            .is(202);
    }
    house.until_settled("lms.enrol");
    lms.behave(vec![Rule::status(422).times(1)])
        .expect("a rule");
    // A user name that is an address, and a course that the LMS quotes when it refuses it.
    let mut odd = Payment::numbered(4);
    odd.template.username = "quinn@example.com".to_owned();
    odd.template.course_id = "quinn@example.com".to_owned();
    Payment::signed(&url, &odd.body()).send().is(202);
    // What does not decode, with an address where a number belongs.
    let broken = Payment::numbered(5).body();
    let broken = broken.replace(
        "\"amount_received\":14900",
        "\"amount_received\":\"quinn@example.com\"",
    );
    let refusal = Payment::signed(&url, &broken).send().is(400);
    let mut seen = leaks("an answer", &refusal.text());
    // The same through the API.
    let data =
        json!({"order": "quinn@example.com", "course": 5, "username": "Quinn", "mode": ["Quinn"]});
    let event = json!({"id": "1", "source": "/t", "type": "org.openedx.fulfilment.completed.v1", "data": data});
    let publish = house
        .ask("POST", "/api/v1/messages?learner=quinn@example.com")
        .key();
    let publish = publish.header("content-type", "application/cloudevents+json");
    let refusal = publish.body(event.to_string()).send().is(422);
    seen.extend(leaks("an answer", &refusal.text()));
    house
        .ask("GET", "/nothing/quinn@example.com?name=Quinn")
        .send()
        .is(404);
    house
        .ask("GET", "/api/v1/messages?nobody=quinn@example.com")
        .key()
        .send()
        .is(400);
    eventually("one is given up", || house.dead_letters().pop());
    seen
}

#[test]
fn no_personal_data_and_no_secret_is_logged_at_any_level_or_shown_unasked() {
    let mut house = TestHouse::builder()
        .payments()
        .patient()
        .log("trace")
        .start();
    let mut leaked = live_through(&house);
    let dead = house.dead_letters();
    let id = dead[0]["message"]["id"].as_str().expect("it has an id");
    for command in [
        &["messages", "list"][..],
        &["messages", "show", id],
        &["dead-letters", "list"],
        &["dead-letters", "show", id],
        &["dead-letters", "list", "--output", "json"],
        &["handlers", "list"],
        &["plugin", "list"],
        &["config", "show"],
        &["check"],
    ] {
        let ended = house.run(command);
        let (place, text) = (format!("{command:?}"), ended.out + &ended.err);
        assert!(!text.is_empty(), "{place}");
        leaked.extend(leaks(&place, &text));
    }
    house.run(&["dead-letters", "replay", id]).exits(0);
    let sought = [
        "messages",
        "replay",
        "--text",
        "quinn@example.com",
        "--key",
        "Quinn",
        "--yes",
    ];
    house.run(&sought).exits(0);
    let audit = house.run(&["audit", "list", "--output", "json"]).exits(0);
    leaked.extend(leaks("the audit log", &audit.out));
    house.kill();
    house.start();
    house.until_settled("lms.enrol");
    assert_eq!(house.terminate(), Some(0));

    let log = house.log().lines();
    assert!(
        log.iter().any(|line| line.contains("\"level\":\"TRACE\"")),
        "it is talkative"
    );
    for line in &log {
        leaked.extend(leaks("the log", line));
    }
    leaked.truncate(20);
    assert!(leaked.is_empty(), "{leaked:#?}");
}

#[test]
fn an_address_in_what_a_plugin_says_is_taken_out_before_it_is_logged_stored_or_shown() {
    let mut house = TestHouse::builder()
        .plugin("misbehaving", "misbehaving", "")
        .log("trace")
        .start();
    let about = json!({"id": "quinn@example.com"});
    house
        .ask("POST", "/misbehaving/publish/complains")
        .json(&about)
        .send()
        .is(202);
    let letter = eventually("it is given up", || house.dead_letters().pop());
    assert_eq!(
        letter["failure"]["chain"],
        json!(["could not reach [email]"])
    );
    let shown = house.run(&["dead-letters", "list"]).exits(0).out;
    assert!(shown.contains("could not reach [email]"), "{shown}");

    // By the plugin, and by the host.
    house.log().until("could not reach [email]", 2);
    let log = house.log().lines().join("\n");
    let leaked = leaks("the log", &log);
    assert!(leaked.is_empty(), "{leaked:#?}");
    house.expect_dead_letters(1);
}

#[test]
fn the_demo_tells_its_story_without_a_person_in_it() {
    // Built before the tests; its own build finds nothing to do.
    let told = std::process::Command::new(built("xtask"))
        .args(["demo", "--once"])
        .env("CARGO", env!("CARGO"))
        .output()
        .expect("the demo starts");
    let (out, err) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{out}\n{err}");
    assert!(out.contains("acked"), "it tells the story: {out}");
    let mut seen = leaks("what the demo prints", &out);
    seen.extend(leaks("what the demo prints beside it", &err));
    assert!(seen.is_empty(), "{seen:#?}");
}
