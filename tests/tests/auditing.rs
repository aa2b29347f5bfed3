//! Who did what on a running host, and that nobody can say otherwise afterwards; the database of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use coordinator_tests::{TestHouse, built};
use serde_json::{Value, json};

fn house() -> TestHouse {
    let house = TestHouse::builder()
        .config("[trust]\npolicy = \"any\"")
        .start();
    let file = built("libchanging.so");
    let file = file.to_str().unwrap();
    house.run(&["plugin", "install", file]).exits(0);
    house
}

/// What somebody does to the file by hand.
fn by_hand(house: &TestHouse, sql: &str) {
    let file = house.folder().join("data/coordinator.db");
    let done = Command::new("sqlite3").arg(&file).arg(sql).status();
    assert!(
        done.expect("`sqlite3` should be there: apt-get install sqlite3")
            .success()
    );
}

fn listed(house: &TestHouse, filters: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--output", "json"], filters].concat();
    let page: Value = serde_json::from_str(&house.run(&arguments).exits(0).out).unwrap();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn what_operators_did_is_listed_with_who_and_why_and_without_secrets() {
    let house = house();
    let set = [
        "settings",
        "set",
        "changing",
        "word=one",
        "--comment",
        "as agreed",
    ];
    house.run(&set).exits(0);
    let refused = house.run(&["settings", "set", "changing", "nothing=1"]);
    assert_ne!(refused.code, 0);
    house
        .run(&["plugin", "disable", "changing", "--yes"])
        .exits(0);

    let entries = listed(&house, &[]);
    let told: Vec<_> = entries
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["plugin.disable", "settings.set", "plugin.install"]);
    assert_eq!(entries[1]["reason"], "as agreed");
    assert_eq!(entries[1]["address"], "127.0.0.1");
    assert!(
        entries.iter().all(|it| it["actor"] == "key:tests"),
        "{entries:?}"
    );
    assert_eq!(listed(&house, &["--action", "plugin"]).len(), 2);
    assert_eq!(listed(&house, &["--actor", "key:nobody"]).len(), 0);
    let page = house.get("/api/v1/audit?limit=2");
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let rest = format!(
        "/api/v1/audit?limit=2&cursor={}",
        page["next"].as_str().unwrap()
    );
    assert_eq!(house.get(&rest)["items"][0]["sequence"], 1);
    let table = house.run(&["audit", "list", "--limit", "1"]).exits(0);
    assert!(
        table.out.contains("plugin.disable") && table.err.contains("--cursor"),
        "{table:?}"
    );

    house.ask("GET", "/api/v1/audit").send().is(401);
    for wrong in ["limit=0", "cursor=x", "since=yesterday", "who=me"] {
        let answer = house
            .ask("GET", &format!("/api/v1/audit?{wrong}"))
            .key()
            .send();
        assert!(!answer.is_success(), "{wrong}");
        let (code, detail) = answer.problem();
        let name = wrong.split('=').next().unwrap();
        assert!(detail.contains(name), "{wrong}: {code} {detail}");
    }
}

#[test]
fn an_entry_that_was_changed_by_hand_is_found_and_named() {
    let house = house();
    house
        .run(&["settings", "set", "changing", "word=one"])
        .exits(0);
    let whole = house.run(&["audit", "verify"]).exits(0).out;
    assert!(whole.starts_with("2 entries hold\n"), "{whole}");
    let head = whole.trim().rsplit(' ').next().unwrap().to_owned();
    house.run(&["audit", "verify", "--head", &head]).exits(0);

    by_hand(
        &house,
        "UPDATE audit_log SET actor = 'key:nobody' WHERE sequence = 1",
    );
    let broken = house.run(&["audit", "verify"]).exits(1).out;
    assert!(
        broken.contains("entry 1 does not hold: the row was changed"),
        "{broken}"
    );
    let report = house
        .run(&["audit", "verify", "--output", "json"])
        .exits(1)
        .out;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["broken"],
        json!({"sequence": 1, "reason": "the row was changed"})
    );

    by_hand(
        &house,
        "DELETE FROM audit_log; UPDATE counters SET value = 0 WHERE name = 'audit'",
    );
    let emptied = house.run(&["audit", "verify"]).exits(0).out;
    assert_eq!(emptied, "the audit log is empty\n");
    let shorter = house
        .run(&["audit", "verify", "--head", &head])
        .exits(1)
        .out;
    assert!(
        shorter.contains("the log is shorter than it was"),
        "{shorter}"
    );
    let wrong = house.run(&["audit", "verify", "--head", "2"]).exits(1).err;
    assert!(wrong.contains("ROWS:HASH"), "{wrong}");
}

#[test]
fn migrate_says_what_is_to_be_done_and_does_it_once() {
    let mut house = TestHouse::builder().start();
    house.terminate();
    let status = house.run(&["migrate", "--status"]).exits(0);
    assert!(
        status.out.contains("m0001_platform  applied"),
        "{}",
        status.out
    );
    assert!(status.err.contains("coordinator.db"), "{}", status.err);

    std::fs::remove_file(house.folder().join("data/coordinator.db")).unwrap();
    let status = house.run(&["migrate", "--status"]).exits(1).out;
    assert!(status.contains("to be applied"), "{status}");
    let done = house.run(&["migrate", "--output", "json"]).exits(0).out;
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["applied"][0], "m0001_platform");
    let again = house.run(&["migrate", "--output", "json"]).exits(0).out;
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["applied"], json!([]));

    by_hand(
        &house,
        "INSERT INTO coordinator_migrations (version, applied_at) VALUES ('m9999_later', 0)",
    );
    let newer = house.run(&["migrate"]).exits(78).err;
    assert!(newer.contains("m9999_later"), "{newer}");
    std::fs::write(house.folder().join("data/coordinator.db"), "x".repeat(8192)).unwrap();
    let damaged = house.run(&["migrate"]).exits(69).err;
    assert!(damaged.contains("coordinator.db"), "{damaged}");
}
