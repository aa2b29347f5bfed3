//! From start to stop: what keeps a host from starting, what it shows while it runs, and how it ends.

use std::time::Duration;

use coordinator_sandbox::Rule;
use coordinator_tests::{Payment, TestHouse, eventually};
use serde_json::json;

#[test]
fn sigterm_lets_what_runs_finish_and_ends_with_0() {
    let mut house = TestHouse::builder().payments().start();
    let slow = Rule::delay(Duration::from_millis(700));
    house.sandbox().behave(vec![slow]).expect("a rule");
    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .send()
        .is(202);
    eventually("the LMS is at it", || {
        (house.sandbox().counts().requests == 1).then_some(())
    });
    assert_eq!(house.terminate(), Some(0));
    assert_eq!(house.sandbox().counts().enrolled, 1);

    // The ack was written too: after a start there is nothing to do.
    house.start();
    house.until_settled("lms.enrol");
    let payments = house.messages("org.openedx.payment.received.v1");
    assert_eq!(payments[0]["state"], "acked");
    assert_eq!(
        house.messages("org.openedx.fulfilment.completed.v1").len(),
        1
    );
    assert_eq!(house.sandbox().counts().requests, 1);
}

#[test]
fn what_outlives_the_drain_is_delivered_after_the_next_start() {
    let mut house = TestHouse::builder()
        .payments()
        .patient()
        .server("drain_timeout = \"300ms\"")
        .start();
    let hang = Rule::hang().times(1);
    house.sandbox().behave(vec![hang]).expect("a rule");
    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .send()
        .is(202);
    eventually("the LMS is at it", || {
        (house.sandbox().counts().requests == 1).then_some(())
    });
    assert_eq!(house.terminate(), Some(0));
    house.start();
    house.until_settled("lms.enrol");
    let lms = house.sandbox().counts();
    assert_eq!((lms.requests, lms.enrolled), (2, 1));
}

#[test]
fn a_second_host_on_one_folder_is_refused_and_told_who_has_it() {
    let house = TestHouse::builder().payments().start();
    let second = house.run(&["serve"]).exits(78);
    assert!(
        second.err.contains(&format!("process {}", house.pid())),
        "{}",
        second.err
    );
    assert_eq!(house.get("/readyz")["status"], "ok");
}

#[test]
fn a_plugin_that_is_no_library_is_reported_and_the_others_serve() {
    let house = TestHouse::builder()
        .payments()
        .file("broken.so", b"not a library")
        .config("[plugins.broken]\npath = \"broken.so\"\n[trust]\npolicy = \"any\"")
        .start();
    let closed = house.ask("POST", "/broken/anything").send().is(503);
    assert_eq!(closed.problem().0, "plugin-unavailable");
    assert!(closed.retry_after().is_some());

    let ready = house.get("/readyz");
    assert_eq!(ready["status"], "degraded", "{ready}");
    let checks = ready["checks"].as_array().expect("a list");
    let broken = checks.iter().find(|check| check["name"] == "plugin broken");
    assert_eq!(
        broken.expect("it is named")["status"],
        "degraded",
        "{ready}"
    );
    let listed = house.run(&["plugin", "list"]).exits(0).out;
    assert!(listed.contains("broken"), "{listed}");

    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .send()
        .is(202);
    house.until_settled("lms.enrol");
    assert_eq!(house.sandbox().counts().enrolled, 1);
}

#[test]
fn a_required_plugin_that_is_no_library_stops_the_start_in_six_lines() {
    let ended = TestHouse::builder()
        .payments()
        .file("broken.so", b"not a library")
        .config(
            "[plugins.broken]\npath = \"broken.so\"\nrequired = true\n[trust]\npolicy = \"any\"",
        )
        .serve()
        .exits(70);
    assert!(ended.err.lines().count() <= 6, "{}", ended.err);
    assert!(ended.err.contains("broken.so"), "{}", ended.err);
}

#[test]
fn a_configuration_with_mistakes_tells_all_of_them_and_exits_with_78() {
    let ended = TestHouse::builder()
        .payments()
        .config("[journal]\nretention = \"soon\"\nmax_sise = \"1GiB\"\n[dispatch]\nthreads = 1")
        .serve()
        .exits(78);
    for key in ["journal.retention", "journal.max_sise", "dispatch.threads"] {
        assert!(ended.err.contains(key), "{key}: {}", ended.err);
    }
}

#[test]
fn one_trace_goes_from_the_webhook_to_what_came_of_it() {
    let house = TestHouse::builder().payments().start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .send()
        .is(202);
    house.until_settled("lms.enrol");
    let id = |message: &serde_json::Value| message["id"].as_str().expect("an id").to_owned();
    let payment = house.message(&id(&house.messages("org.openedx.payment.received.v1")[0]));
    let fulfilled = house.message(&id(
        &house.messages("org.openedx.fulfilment.completed.v1")[0]
    ));
    for message in [&payment, &fulfilled] {
        assert_eq!(message["trace_id"], trace, "{message}");
        assert_eq!(message["correlation"], payment["id"], "{message}");
    }
    assert_eq!(fulfilled["cause"], payment["id"]);
    assert_eq!(payment["children"], json!([fulfilled["id"]]));
}

#[test]
fn a_host_shows_how_it_is() {
    let house = TestHouse::builder().payments().start();
    Payment::signed(&house.url(), &Payment::numbered(1).body())
        .send()
        .is(202);
    house.until_settled("lms.enrol");

    house.ask("GET", "/livez").send().is(200);
    let health = house.ask("GET", "/health").send().is(200).json();
    let expected = json!({"overall_status": "OK", "detailed_status": {"database_status": "OK"}});
    assert_eq!(health, expected);
    let ready = house.get("/readyz?verbose");
    let checks = ready["checks"].as_array().expect("a list");
    let names: Vec<_> = checks
        .iter()
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "journal",
            "database",
            "cache",
            "plugin lms",
            "plugin stripe"
        ]
    );

    let page = house.ask("GET", "/metrics").send().is(200).text();
    for line in [
        "coordinator_messages_published_total{type=\"org.openedx.payment.received.v1\",outcome=\"accepted\"} 1",
        "coordinator_deliveries_total{handler=\"lms.enrol\",outcome=\"acked\"} 1",
        "coordinator_handler_lag_messages{handler=\"lms.enrol\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}
