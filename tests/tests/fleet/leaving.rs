//! Handlers whose plugin is taken away or switched off while the host runs, on both engines: what waits for them, where
//! it is shown, and whether it keeps others from publishing.

use coordinator_tests::{Answer, TestHouse};
use serde_json::json;

use crate::stage::{HAPPENED, file, house, run, version};
use crate::town::{on, redis, sqlite};

/// Published by another plugin, which takes it too.
fn happen(house: &TestHouse, number: u64) -> Answer {
    let ask = house.ask("POST", "/other/happen");
    ask.json(&json!({"number": number})).send()
}

/// A house with a second plugin that publishes.
fn with_other(journal: &str) -> TestHouse {
    let house = house(journal);
    let other = file(&house, "changed");
    run(&house, &["plugin", "install", &other, "--as", "other"]).exits(0);
    house
}

fn happened(house: &TestHouse, numbers: std::ops::Range<u64>) {
    for number in numbers {
        happen(house, number).is(202);
        house.until_settled("other.note");
    }
}

#[track_caller]
fn stands(house: &TestHouse, state: &str, lag: u64) {
    let handler = house.handler("changing.note");
    assert_eq!(
        (&handler["state"], &handler["lag"]),
        (&json!(state), &json!(lag)),
        "{handler}"
    );
}

fn taken_away(journal: &str) {
    let house = with_other(journal);
    run(&house, &["handlers", "pause", "changing.note"]).exits(0);
    happened(&house, 0..3);

    // Whoever takes it away has to know what waits.
    let refused = house.ask("DELETE", "/api/v1/plugins/changing").key().send();
    let (code, detail) = refused.is(409).problem();
    assert_eq!(code, "deliveries-wait");
    assert!(detail.contains("3 for `changing.note`"), "{detail}");
    run(&house, &["plugin", "uninstall", "changing"]).exits(64);
    assert_eq!(version(&house), "1.0.0");
    let done = run(&house, &["plugin", "uninstall", "changing", "--yes"]).exits(0);
    let told = "3 deliveries wait for `changing.note`";
    assert!(done.err.contains(told), "{}", done.err);
    let audit = house.get("/api/v1/audit?action=plugin.uninstall");
    assert_eq!(audit["items"][0]["detail"]["waiting"][0]["deliveries"], 3);

    // It is closed at once, and fills nobody's backlog.
    stands(&house, "removed", 3);
    happened(&house, 3..13);
    stands(&house, "removed", 13);

    // What waited is there for the one that comes back.
    let again = file(&house, "changing");
    run(&house, &["plugin", "install", &again]).exits(0);
    stands(&house, "paused", 13);
    let (code, detail) = happen(&house, 13).is(503).problem();
    assert_eq!(code, "journal-full", "{detail}");
    run(&house, &["handlers", "resume", "changing.note"]).exits(0);
    house.until_settled("changing.note");
    let messages = house.messages(HAPPENED);
    assert_eq!(messages.len(), 13);
    assert!(messages.iter().all(|message| message["state"] == "acked"));
    run(&house, &["plugin", "uninstall", "changing", "--yes"]).exits(0);
}

#[test]
fn what_waits_for_a_plugin_that_is_taken_away_is_told_kept_and_in_nobodys_way() {
    taken_away(&sqlite());
}

#[test]
fn what_waits_for_a_plugin_that_is_taken_away_is_told_kept_and_in_nobodys_way_on_redis() {
    let server = redis();
    taken_away(&on(&server));
}

fn switched_off(journal: &str) {
    let mut house = with_other(journal);
    run(&house, &["plugin", "disable", "changing", "--yes"]).exits(0);
    happened(&house, 0..5);
    let full = |house: &TestHouse| {
        let (code, detail) = happen(house, 99).is(503).problem();
        assert_eq!(code, "journal-full", "{detail}");
    };
    full(&house);
    stands(&house, "waiting", 5);
    house.terminate();
    house.start();
    stands(&house, "waiting", 5);
    full(&house);
    run(&house, &["plugin", "enable", "changing"]).exits(0);
    house.until_settled("changing.note");

    // The same for one handler.
    run(&house, &["wiring", "set", "changing.note.enabled=false"]).exits(0);
    happened(&house, 5..7);
    stands(&house, "waiting", 2);
    house.kill();
    house.start();
    stands(&house, "waiting", 2);
    let on = ["wiring", "set", "--unset", "changing.note.enabled"];
    run(&house, &on).exits(0);
    house.until_settled("changing.note");
    assert_eq!(house.messages(HAPPENED).len(), 7);
}

#[test]
fn what_is_switched_off_keeps_its_messages_over_a_restart_within_the_backlog() {
    switched_off(&sqlite());
}

#[test]
fn what_is_switched_off_keeps_its_messages_over_a_restart_within_the_backlog_on_redis() {
    let server = redis();
    switched_off(&on(&server));
}
