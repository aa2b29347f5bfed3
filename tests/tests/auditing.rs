//! Who did what on a running host, and that nobody can say otherwise afterwards; the database of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use coordinator_sandbox::Rule;
use coordinator_tests::{Payment, TestHouse, built, eventually};
use serde_json::{Value, json};

const PAID: &str = "org.openedx.payment.received.v1";

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

/// A house in which so many payments were given up; by now the LMS would take them. The ids of their messages.
fn with_dead_letters(number: u64) -> (TestHouse, Vec<String>) {
    let house = TestHouse::builder().payments().patient().start();
    house
        .sandbox()
        .behave(vec![Rule::status(422)])
        .expect("a rule");
    for n in 1..=number {
        let payment = Payment::numbered(n).body();
        Payment::signed(&house.url(), &payment).send().is(202);
    }
    eventually("all are dead letters", || {
        (house.dead_letters().len() as u64 == number).then_some(())
    });
    house.sandbox().behave(Vec::new()).expect("no rule");
    let ids = house.messages(PAID);
    let ids = ids
        .iter()
        .map(|message| message["id"].as_str().unwrap().to_owned());
    let ids = ids.collect();
    (house, ids)
}

/// Entries of the audit log, oldest first, as their actions and subjects.
fn acts(entries: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let acts = entries.iter().rev();
    acts.map(|entry| (text(&entry["action"]), text(&entry["subject"])))
        .collect()
}

/// Each act is two entries: what was asked for, and that it was done.
fn in_pairs(acts: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(action, subject): &(&str, &str)| {
        let done = format!("{action}.done");
        [(*action).to_owned(), done].map(|action| (action, (*subject).to_owned()))
    };
    acts.iter().flat_map(pair).collect()
}

#[test]
fn what_is_done_with_one_message_or_handler_is_recorded_with_who_it_was_for_and_what_came_of_it() {
    let (house, ids) = with_dead_letters(2);
    house.run(&["dead-letters", "replay", &ids[0]]).exits(0);
    house.until_settled("lms.enrol");
    house
        .run(&["dead-letters", "discard", &ids[1], "--yes"])
        .exits(0);
    for verb in ["pause", "resume"] {
        house.run(&["handlers", verb, "lms.enrol"]).exits(0);
    }
    let to = json!({"handler": "lms.enrol"});
    let replay = format!("/api/v1/messages/{}/replay", ids[0]);
    house.ask("POST", &replay).key().json(&to).send().is(202);
    house.until_settled("lms.enrol");
    house.run(&["handlers", "pause", "lms.enrol"]).exits(0);
    house.run(&["messages", "replay", &ids[0]]).exits(0);
    house
        .run(&["messages", "discard", &ids[0], "--yes"])
        .exits(0);
    house.run(&["messages", "replay", &ids[1]]).exits(0);
    house
        .run(&["handlers", "skip", "lms.enrol", "--yes"])
        .exits(0);
    house.run(&["handlers", "resume", "lms.enrol"]).exits(0);

    let entries = listed(&house, &[]);
    let wanted = in_pairs(&[
        ("dead-letter.replay", &ids[0]),
        ("dead-letter.discard", &ids[1]),
        ("handler.pause", "lms.enrol"),
        ("handler.resume", "lms.enrol"),
        ("message.replay", &ids[0]),
        ("handler.pause", "lms.enrol"),
        ("message.replay", &ids[0]),
        ("message.discard", &ids[0]),
        ("message.replay", &ids[1]),
        ("handler.skip", "lms.enrol"),
        ("handler.resume", "lms.enrol"),
    ]);
    assert_eq!(acts(&entries), wanted);
    let is_ours = |entry: &Value| entry["actor"] == "key:tests" && entry["address"] == "127.0.0.1";
    assert!(entries.iter().all(is_ours), "{entries:?}");
    let detail = |sequence: usize| entries[entries.len() - sequence]["detail"].clone();
    assert_eq!(detail(1), json!({"to": ["lms.enrol"]}));
    assert_eq!(detail(2), json!({"entry": 1, "scheduled": 1}));
    assert_eq!(detail(4), json!({"entry": 3, "discarded": 1}));
    assert_eq!(detail(9), json!({"to": "lms.enrol"}));
    assert_eq!(detail(13), json!({"to": "every handler"}));
    assert_eq!(detail(16), json!({"entry": 15, "discarded": 1}));
    assert_eq!(detail(20)["skipped"], 1);
    let one = listed(&house, &["--action", "handler", "--subject", "lms.enrol"]);
    assert_eq!(one.len(), 10);
    let table = house.run(&["audit", "list", "--action", "handler.skip.done"]);
    assert!(table.exits(0).out.contains("\"skipped\":1"));
    house.run(&["audit", "verify"]).exits(0);
}

#[test]
fn a_replay_or_discard_of_many_is_recorded_with_its_filter_and_counts_and_a_dry_run_is_not() {
    let (house, ids) = with_dead_letters(3);
    let dry = [
        "dead-letters",
        "discard",
        "--all",
        "--dry-run",
        "--output",
        "json",
    ];
    let dry: Value = serde_json::from_str(&house.run(&dry).exits(0).out).unwrap();
    assert_eq!(dry["count"], 3);
    assert!(listed(&house, &[]).is_empty(), "nothing was done");

    let one = json!({"select": {"messages": [ids[0]]}, "handler": "lms.enrol"});
    let replays = || house.ask("POST", "/api/v1/replays").key();
    replays().json(&one).send().is(202);
    house.until_settled("lms.enrol");
    let found = json!({"select": {"filter": {"type": PAID, "q": "ORDER-2"}}, "rate": 100});
    replays().json(&found).send().is(202);
    house.until_settled("lms.enrol");
    let rest = ["dead-letters", "discard", "--handler", "lms.enrol", "--yes"];
    house.run(&rest).exits(0);

    let entries = listed(&house, &[]);
    let wanted = in_pairs(&[
        ("message.replay", "messages"),
        ("message.replay", "messages"),
        ("dead-letter.discard", "dead-letters"),
    ]);
    assert_eq!(acts(&entries), wanted);
    let detail = |sequence: usize| &entries[entries.len() - sequence]["detail"];
    let named = detail(1);
    assert_eq!(named["selection"], json!({"messages": [ids[0]]}));
    assert_eq!(
        (&named["to"], &named["count"]),
        (&json!("lms.enrol"), &json!(1))
    );
    assert_eq!(detail(2)["scheduled"], 1);
    let by_text = detail(3);
    assert_eq!(by_text["to"], "every handler");
    assert_eq!(by_text["rate"], 100);
    let filter = &by_text["selection"]["filter"];
    // What was looked for may be somebody's name, and the audit log forgets nothing.
    assert_eq!((&filter["type"], &filter["q"]), (&json!(PAID), &json!("…")));
    assert_eq!(
        (&by_text["first"], &by_text["last"]),
        (&json!(ids[1]), &json!(ids[1]))
    );
    let letters = detail(5);
    assert_eq!(letters["selection"]["dead_letters"]["handler"], "lms.enrol");
    assert_eq!(letters["to"], "lms.enrol");
    assert_eq!(
        (&letters["count"], &letters["last"]),
        (&json!(1), &json!(ids[2]))
    );
    assert_eq!(*detail(6), json!({"entry": 5, "discarded": 1}));
}

#[test]
fn what_is_refused_at_once_is_not_recorded_and_what_fails_is_recorded_as_failed() {
    let (house, ids) = with_dead_letters(1);
    house
        .run(&["dead-letters", "discard", &ids[0], "--yes"])
        .exits(0);
    let nothing = "01a2038f-1f44-7f78-987c-3ef45bef987a";
    for path in [
        format!("messages/{nothing}/replay"),
        format!("messages/{nothing}/discard"),
        format!("dead-letters/{nothing}/replay"),
        "handlers/no.body/pause".to_owned(),
    ] {
        let ask = house.ask("POST", &format!("/api/v1/{path}")).key();
        ask.send().is(404);
    }
    assert_eq!(listed(&house, &[]).len(), 2);
    let discard = format!("/api/v1/messages/{}/discard", ids[0]);
    house.ask("POST", &discard).key().send().is(409);
    let failed = &listed(&house, &["--limit", "1"])[0];
    assert_eq!(failed["action"], "message.discard.failed");
    assert_eq!(failed["detail"]["problem"], "409 nothing-to-discard");
    assert_eq!(failed["detail"]["entry"], 3);
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
