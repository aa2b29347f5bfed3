//! A journal is moved from one engine to the other: nothing waits at the wrong place, nothing is lost, nothing doubled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the server has more hands than this test needs")]
#[path = "../../crates/journal/tests/redis/server.rs"]
mod server;

use coordinator_sandbox::Rule;
use coordinator_tests::{Payment, TestHouse, eventually};
use serde_json::Value;
use server::{Server, Settings};

const SQLITE: &str = "engine = \"sqlite\"";
const REDIS: &str = "engine = \"redis\"";

fn send(house: &TestHouse, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        let payment = Payment::numbered(n).body();
        Payment::signed(&house.url(), &payment).send().is(202);
    }
}

#[track_caller]
fn moved(house: &TestHouse, arguments: &[&str]) -> Value {
    let arguments = [&["migrate-journal", "--output", "json"], arguments].concat();
    let ended = house.run(&arguments).exits(0);
    serde_json::from_str(&ended.out).expect("it prints JSON")
}

#[test]
fn what_waits_in_one_engine_is_delivered_from_the_other() {
    let server = Server::start(Settings::default());
    let journal = format!(
        "[journal]\n{SQLITE}\n[journal.redis]\nurl = \"{}\"",
        server.url()
    );
    let mut house = TestHouse::builder()
        .payments()
        .patient()
        .config(&journal)
        .start();

    // Two are given up, two are tried again and again.
    let refuse = Rule::status(422);
    house.sandbox().behave(vec![refuse]).expect("a rule");
    send(&house, 1..=2);
    eventually("two are dead letters", || {
        (house.dead_letters().len() == 2).then_some(())
    });
    let down = Rule::status(503);
    house.sandbox().behave(vec![down]).expect("a rule");
    send(&house, 3..=4);
    eventually("two are tried again", || {
        (house.handler("lms.enrol")["retrying"] == 2).then_some(())
    });
    house.run(&["handlers", "pause", "lms.enrol"]).exits(0);
    send(&house, 5..=5);

    let busy = house.run(&["migrate-journal", "--to", "redis", "--dry-run"]);
    assert!(
        busy.exits(78).err.contains("process"),
        "the host has the folder"
    );
    house.terminate();

    let counted = moved(&house, &["--to", "redis", "--dry-run"]);
    assert_eq!(counted["source"]["all"]["waiting messages"], 3, "{counted}");
    assert_eq!(counted["source"]["all"]["dead letters"], 2, "{counted}");
    house.run(&["migrate-journal", "--to", "redis"]).exits(64);
    // As often as one likes.
    for _ in 0..2 {
        let done = moved(&house, &["--to", "redis", "--yes"]);
        assert_eq!(done["complete"], true, "{done}");
        assert_eq!(done["source"], done["target"], "{done}");
    }
    house.run(&["migrate-journal", "--to", "sqlite"]).exits(64);

    house.reconfigure(SQLITE, REDIS);
    house.start();
    assert_eq!(house.handler("lms.enrol")["state"], "paused");
    house.sandbox().behave(Vec::new()).expect("no rule");
    house.run(&["handlers", "resume", "lms.enrol"]).exits(0);
    house.until_settled("lms.enrol");
    assert_eq!(house.sandbox().counts().enrolled, 3);
    // A webhook that comes once more is known here, too.
    send(&house, 4..=4);
    house
        .run(&["dead-letters", "replay", "--all", "--yes"])
        .exits(0);
    house.until_settled("lms.enrol");
    let lms = house.sandbox().counts();
    assert_eq!((lms.enrolled, lms.repeats), (5, 0));

    let served = house
        .run(&["migrate-journal", "--to", "sqlite", "--yes"])
        .exits(78);
    assert!(served.err.contains("lms.enrol"), "{}", served.err);
}

#[test]
fn a_host_without_handlers_is_seen_too() {
    let server = Server::start(Settings::default());
    let journal = format!(
        "[journal]\n{REDIS}\n[journal.redis]\nurl = \"{}\"",
        server.url()
    );
    // Routes only: it may publish whenever it likes.
    let mut house = TestHouse::builder()
        .plugin("echo", "coordinator_echo", "")
        .config(&journal)
        .start();
    assert!(house.list("/api/v1/handlers").is_empty());
    for more in [&["--dry-run"][..], &["--yes"]] {
        let arguments = [&["migrate-journal", "--to", "sqlite"], more].concat();
        let served = house.run(&arguments).exits(78).err;
        assert!(served.contains("has no handlers"), "{served}");
    }
    house.terminate();
    house
        .run(&["migrate-journal", "--to", "sqlite", "--yes"])
        .exits(0);
}
