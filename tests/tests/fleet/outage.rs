//! The journal's server is away, or takes no writes, in the middle of a change: it is made as a whole or not at all.

use coordinator_tests::{TestHouse, built, eventually};
use serde_json::{Value, json};

use crate::redis::Server;
use crate::stage::{file, happen, house, plugin, run, version};
use crate::town::{on, redis};

fn revision(house: &TestHouse) -> Value {
    house.get("/api/v1/wiring")["revision"].clone()
}

fn until_ready(house: &TestHouse) {
    eventually("the host takes messages again", || {
        let answer = house.ask("GET", "/readyz").try_send()?;
        answer.is_success().then_some(())
    });
}

/// What the default user of the server may do.
fn may(server: &Server, rules: &[&str]) {
    server.command(&[&["ACL", "SETUSER", "default"], rules].concat());
}

/// Everything is as it was, and works.
fn is_as_before(house: &TestHouse) {
    assert_eq!(version(house), "1.0.0");
    assert_eq!(plugin(house, "changing")["generation"], 1);
    assert!(plugin(house, "other").is_null());
    assert_eq!(house.handler("changing.note")["terms"]["order"], "none");
    until_ready(house);
    eventually("it is accepted", || {
        (happen(house, 1).status == 202).then_some(())
    });
    house.until_settled("changing.note");
}

#[test]
fn a_change_that_needs_the_journal_is_refused_while_its_server_is_away() {
    let server = redis();
    let house = house(&on(&server));
    let before = revision(&house);
    let other = file(&house, "changed");
    server.kill();
    let install = ["plugin", "install", &other, "--as", "other"];
    for change in [&install[..], &["wiring", "set", "changing.note.order=key"]] {
        let refused = run(&house, change).exits(69);
        let says = &refused.err;
        assert!(says.contains("journal-unavailable"), "{says}");
    }
    // What the journal has no part in is done.
    run(&house, &["wiring", "set", "changing.note.timeout=7s"]).exits(0);
    server.restart();
    is_as_before(&house);
    let changed = before.as_u64().unwrap() + 1;
    assert_eq!(revision(&house), changed, "what was refused is no revision");
    run(&house, &install).exits(0);
    happen(&house, 2).is(202);
    house.until_settled("other.note");
}

#[test]
fn a_change_is_taken_back_when_the_journal_opens_only_some_of_its_handlers() {
    let server = redis();
    let house = house(&on(&server));
    let wanted = built("libmisbehaving.so").to_string_lossy().into_owned();
    // The first handler of the plugin can be opened, and the second one not.
    may(
        &server,
        &[
            "resetkeys",
            "%R~*",
            "~{coordinator}*",
            "~{coordinator/org.example.change.*",
            "~{coordinator/org.example.misbehave.fine.*",
        ],
    );
    let install = ["plugin", "install", &wanted, "--as", "other"];
    let refused = run(&house, &install).exits(69).err;
    assert!(refused.contains("journal-unavailable"), "{refused}");
    assert!(
        refused.contains("other."),
        "it names the handler: {refused}"
    );
    may(&server, &["resetkeys", "~*"]);
    is_as_before(&house);
    let opened = eventually("what was opened for it is closed", || {
        let handler = house.handler("other.fine");
        (handler["state"] == "removed").then_some(handler)
    });
    assert_eq!(opened["type"], json!([]), "it gathers nothing: {opened}");
    let audit = house.get("/api/v1/audit?action=plugin.install");
    let back = audit["items"][0]["detail"].to_string();
    assert!(back.contains("taken back"), "{audit}");

    run(&house, &install).exits(0);
    let published = house.ask("POST", "/other/publish/fine");
    published.json(&json!({"id": "1"})).send().is(202);
    let acked = eventually("it is delivered", || {
        let mut messages = house.messages("org.example.misbehave.fine.v1");
        messages.pop().filter(|message| message["state"] == "acked")
    });
    assert_eq!(acked["key"], "1");
}
