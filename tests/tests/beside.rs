//! The database and the cache stand beside the messages: they go away and come back, and messages flow on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the server has more hands than this test needs")]
#[path = "../../crates/store/tests/stores/server.rs"]
mod mariadb;
#[expect(dead_code, reason = "the server has more hands than this test needs")]
#[path = "../../crates/journal/tests/redis/server.rs"]
mod redis;

use std::process::Command;

use coordinator_tests::{TestHouse, eventually};
use serde_json::{Value, json};

fn database() -> mariadb::Server {
    let server = mariadb::Server::start();
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let made = Command::new("mariadb")
        .args(["--no-defaults", "--host=127.0.0.1", "--user=root"])
        .args([&format!("--port={port}"), "--execute=CREATE DATABASE shop"])
        .status();
    assert!(made.unwrap().success());
    server
}

fn cache() -> redis::Server {
    redis::Server::start(redis::Settings {
        appendfsync: None,
        ..redis::Settings::default()
    })
}

fn house(database: &mariadb::Server, cache: &redis::Server) -> TestHouse {
    let (database, cache) = (database.url(), cache.url());
    TestHouse::builder()
        .config(&format!(
            "[trust]\npolicy = \"any\"\n[database]\nurl = \"{database}/shop\"\ntimeout = \"1s\"\n\
             [cache]\nurl = \"{cache}\"\ntimeout = \"1s\""
        ))
        .plugin("changing", "changing", "word = \"file\"")
        .start()
}

fn happen(house: &TestHouse, number: u64) {
    let happened = house.ask("POST", "/changing/happen");
    happened.json(&json!({"number": number})).send().is(202);
}

fn word(house: &TestHouse) -> String {
    let told = house.ask("GET", "/changing/version").send().is(200).text();
    told.trim().rsplit(' ').next().unwrap().to_owned()
}

/// Names of what readiness complains of; it is always ready.
fn unwell(house: &TestHouse) -> Vec<String> {
    let ready = house.get("/readyz?verbose");
    let checks = ready["checks"].as_array().unwrap().clone();
    let bad = checks.iter().filter(|check| check["status"] != "ok");
    let named: Vec<String> = bad
        .map(|check| {
            assert_eq!(check["status"], "degraded", "{ready}");
            check["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let whole = if named.is_empty() { "ok" } else { "degraded" };
    assert_eq!(ready["status"], whole, "{ready}");
    named
}

#[track_caller]
fn until_unwell(house: &TestHouse, names: &[&str]) {
    eventually("readiness says so", || {
        (unwell(house) == names).then_some(())
    });
}

#[test]
fn messages_flow_without_the_database_and_changes_are_refused_until_it_is_back() {
    let (database, cache) = (database(), cache());
    let mut house = house(&database, &cache);
    house
        .run(&["settings", "set", "changing", "word=one"])
        .exits(0);
    assert_eq!(word(&house), "one");
    until_unwell(&house, &[]);

    database.kill();
    happen(&house, 1);
    house.until_settled("changing.note");
    assert_eq!(word(&house), "one");
    until_unwell(&house, &["database"]);
    let wanted = json!({"changes": {"word": "two"}});
    let refused = house
        .ask("PATCH", "/api/v1/settings/changing")
        .key()
        .json(&wanted)
        .send();
    let refused = refused.is(503);
    assert_eq!(refused.problem().0, "database-unavailable");
    assert!(refused.retry_after().is_some());
    house.ask("GET", "/api/v1/audit").key().send().is(503);
    let pause = house.ask("POST", "/api/v1/handlers/changing.note/pause");
    let (code, detail) = pause.key().send().is(503).problem();
    assert_eq!(code, "database-unavailable");
    assert!(detail.starts_with("nothing was done"), "{detail}");
    let note = house.handler("changing.note");
    assert_eq!(note["paused"], false, "what is not recorded is not done");
    let unseen = house.run(&["check"]).exits(69).err;
    assert!(unseen.contains("--file-only"), "{unseen}");
    house.run(&["graph"]).exits(69);
    house.run(&["check", "--file-only"]).exits(0);
    assert_eq!(word(&house), "one", "what is not kept is not in force");

    database.restart();
    until_unwell(&house, &[]);
    house
        .run(&["settings", "set", "changing", "word=two"])
        .exits(0);
    let verified = house
        .run(&["audit", "verify", "--output", "json"])
        .exits(0)
        .out;
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(verified["rows"], 2, "{verified}");
    let checked = house.run(&["check"]).exits(0);
    assert!(checked.err.contains("revision 2"), "{}", checked.err);

    // What was answered is kept, however the host ends.
    house.kill();
    house.start();
    assert_eq!(word(&house), "two");
    assert_eq!(house.terminate(), Some(0));
    database.kill();
    let away = house.run(&["serve"]).exits(69).err;
    assert!(away.contains("database.url"), "{away}");
}

#[test]
fn messages_flow_without_the_cache() {
    let (database, cache) = (database(), cache());
    let house = house(&database, &cache);
    until_unwell(&house, &[]);
    cache.kill();
    until_unwell(&house, &["cache"]);
    happen(&house, 1);
    house.until_settled("changing.note");
    house
        .run(&["settings", "set", "changing", "word=one"])
        .exits(0);
    cache.restart();
    until_unwell(&house, &[]);
}
