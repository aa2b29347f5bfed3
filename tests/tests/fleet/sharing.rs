//! Two hosts that share everything: what is changed at one is in force at the other, and what is held or done once is so
//! for both.

use std::collections::BTreeSet;

use coordinator_tests::{TestHouse, eventually};
use serde_json::{Value, json};

use crate::stage::run;
use crate::town::Town;

const STRUCK: &str = "org.example.workshop.struck.v1";

fn host(town: &Town) -> TestHouse {
    town.host()
        .plugin("workshop", "coordinator_workshop", "")
        .plugin("changing", "changing", "word = \"file\"")
        .config("[wiring.handlers.\"workshop.strike\"]\ncron = \"* * * * * *\"")
        .start()
}

fn attempt(house: &TestHouse, what: &str, key: &str) -> coordinator_tests::Answer {
    let ask = house.ask("POST", "/workshop/try");
    ask.json(&json!({"what": what, "key": key})).send()
}

fn said(house: &TestHouse, what: &str, key: &str) -> Value {
    attempt(house, what, key).is(200).json()
}

fn until_version(house: &TestHouse, wanted: &str) {
    eventually("the host follows", || {
        (crate::stage::version(house) == wanted).then_some(())
    });
}

#[test]
fn flags_settings_and_wiring_of_one_host_are_in_force_at_the_other() {
    let town = Town::new();
    let (one, other) = (host(&town), host(&town));
    run(&one, &["flag", "set", "workshop.open", "off"]).exits(0);
    eventually("the other host follows", || {
        (said(&other, "flag", "")["open"] == false).then_some(())
    });
    run(&other, &["flag", "reset", "workshop.open"]).exits(0);
    eventually("and the first one", || {
        (said(&one, "flag", "")["open"] == true).then_some(())
    });
    run(&one, &["settings", "set", "changing", "word=shared"]).exits(0);
    until_version(&other, "1.0.0 shared");
    run(&other, &["wiring", "set", "changing.note.max_attempts=3"]).exits(0);
    eventually("the first host has the terms", || {
        let terms = &one.handler("changing.note")["terms"];
        (terms["max_attempts"] == 3).then_some(())
    });
    // Two that change at once: one of them sees that it was second.
    let revision = one.get("/api/v1/wiring")["revision"].clone();
    let set = |house: &TestHouse, word: &str| {
        let ask = house.ask("PATCH", "/api/v1/settings/changing").key();
        let ask = ask.header("if-match", &format!("\"{revision}\""));
        ask.json(&json!({"changes": {"word": word}})).send()
    };
    set(&one, "first").is(200);
    assert_eq!(
        set(&other, "second").is(412).problem().0,
        "revision-conflict"
    );
    until_version(&other, "1.0.0 first");
    run(&one, &["wiring", "set", "changing.mount=/moved"]).exits(0);
    eventually("the route has moved at both", || {
        let moved = other.ask("GET", "/moved/version").send();
        moved.is_success().then_some(())
    });
}

#[test]
fn a_change_that_one_host_cannot_follow_leaves_it_as_it_was_and_is_tried_again() {
    let town = Town::new();
    let (one, other) = (host(&town), host(&town));
    let secret = |house: &TestHouse| std::fs::write(house.folder().join("password"), "hunter2");
    secret(&one).unwrap();
    let set = ["settings", "set", "changing", "word=new"];
    run(&one, &[&set[..], &["password=file:password"]].concat()).exits(0);
    assert_eq!(crate::stage::version(&one), "1.0.0 new");
    let behind = || {
        let ready = other.get("/readyz?verbose");
        let checks = ready["checks"].as_array().unwrap();
        let mut revision = checks.iter().filter(|check| check["name"] == "revision");
        revision.next().cloned()
    };
    let check = eventually("it says that it cannot follow", behind);
    assert_eq!(check["status"], "degraded");
    assert_eq!(crate::stage::version(&other), "1.0.0 file");
    other.log().until("cannot be used here", 1);
    secret(&other).unwrap();
    until_version(&other, "1.0.0 new");
    assert_eq!(behind(), None);
}

#[test]
fn locks_onces_and_ticks_are_of_all_hosts_together() {
    let town = Town::new();
    let (one, mut other) = (host(&town), host(&town));
    assert_eq!(said(&one, "once", "o")["first"], true);
    assert_eq!(said(&other, "once", "o")["first"], false);
    assert_eq!(said(&one, "count", "n")["sum"], 2);
    assert_eq!(said(&other, "count", "n")["sum"], 4);
    said(&one, "keep", "l");
    let refused = attempt(&other, "lock", "l");
    assert!(!refused.is_success(), "{}", refused.text());
    said(&other, "lock", "another");
    eventually("what the other host had is given up", || {
        attempt(&one, "lock", "another").is_success().then_some(())
    });

    // Whoever strikes, it strikes once; and goes on when one of them is gone.
    let struck = || one.messages(STRUCK);
    eventually("it struck", || (struck().len() >= 3).then_some(()));
    other.kill();
    let before = struck().len();
    eventually("it strikes on", || {
        (struck().len() >= before + 3).then_some(())
    });
    let due: Vec<String> = struck().iter().map(|it| it["key"].to_string()).collect();
    let once: BTreeSet<&String> = due.iter().collect();
    assert_eq!(once.len(), due.len(), "{due:?}");
    // Nothing ticks while the house looks whether all is settled.
    run(&one, &["plugin", "disable", "workshop", "--yes"]).exits(0);
    run(&one, &["handlers", "skip", "workshop.strike", "--yes"]).exits(0);
}
