//! Commands, schedules, checks, health, flags, and what a plugin asks its host for.

use coordinator_tests::{TestHouse, built, eventually};
use serde_json::{Value, json};

use crate::{PRICE, attempt, attempt_at, prices, workshop};

#[test]
fn a_plugin_has_a_cache_locks_and_onces_that_no_other_reaches() {
    let house = workshop("")
        .plugin("annex", "coordinator_workshop", "")
        .start();
    assert_eq!(attempt(&house, "cache", "k")["before"], Value::Null);
    assert_eq!(attempt(&house, "cache", "k")["before"], 1);
    let annex = attempt_at(&house, "annex", "cache", "k").is(200).json();
    assert_eq!(annex["before"], Value::Null);
    assert_eq!(attempt(&house, "count", "n")["sum"], 2);
    assert_eq!(attempt(&house, "count", "n")["sum"], 4);
    assert_eq!(attempt(&house, "once", "o")["first"], true);
    assert_eq!(attempt(&house, "once", "o")["first"], false);
    let lock = attempt(&house, "lock", "l");
    assert_eq!(lock, json!({"second": false}));
    // The guard was dropped with the request.
    eventually("the lock is given up", || {
        (attempt_at(&house, "workshop", "lock", "l").status == 200).then_some(())
    });
    let refused = attempt_at(&house, "workshop", "cache", &"k".repeat(600));
    assert!(!refused.is_success(), "{}", refused.text());
}

#[test]
fn what_a_plugin_measures_is_under_its_name() {
    let house = workshop("").start();
    attempt(&house, "metrics", "a");
    attempt(&house, "metrics", "a");
    let metrics = house.ask("GET", "/metrics").send().is(200).text();
    for line in [
        "plugin_workshop_tries{what=\"a\"} 6",
        "plugin_workshop_level 1.5",
    ] {
        assert!(
            metrics.lines().any(|it| it == line),
            "{line} is not in:\n{metrics}"
        );
    }
}

#[test]
fn a_command_is_run_with_typed_arguments_and_says_why_it_failed() {
    let house = workshop("").start();
    let sweep = |more: &[&str]| {
        let arguments = [&["run", "workshop", "sweep"], more].concat();
        house.run(&arguments)
    };
    assert_eq!(sweep(&["times=3"]).exits(0).out.trim(), "swept 3 times");
    assert_eq!(
        sweep(&["--json", "{\"times\": 4}"]).exits(0).out.trim(),
        "swept 4 times"
    );
    let unknown = sweep(&["tims=3"]).exits(64);
    assert!(
        unknown.err.contains("did you mean `times`?"),
        "{}",
        unknown.err
    );
    let untyped = sweep(&["times=many"]).exits(64);
    assert!(untyped.err.contains("expected integer"), "{}", untyped.err);
    let missing = sweep(&[]).exits(1);
    assert!(
        missing.err.contains("[command-arguments]"),
        "{}",
        missing.err
    );
    let failed = sweep(&["times=1", "how=badly"]).exits(1);
    assert!(
        failed.err.contains("the broom is broken [command-failed]"),
        "{}",
        failed.err
    );
    let panicked = sweep(&["times=1", "how=wildly"]).exits(1);
    assert!(panicked.err.contains("dust everywhere"), "{}", panicked.err);
    let late = sweep(&["times=1", "how=slowly"]).exits(1);
    assert!(late.err.contains("did not end within 2 s"), "{}", late.err);
    let listed = house.run(&["run", "workshop"]).exits(0).out;
    assert!(
        listed.contains("sweep") && listed.contains("Sweeps the floor"),
        "{listed}"
    );
    let no = house.run(&["run", "workshop", "swep", "times=1"]).exits(64);
    assert!(no.err.contains("did you mean `sweep`?"), "{}", no.err);
    house.run(&["run", "nobody", "sweep"]).exits(1);
    let audit = house.get("/api/v1/audit?action=command.run");
    let first = &audit["items"][0];
    assert_eq!(
        (&first["subject"], &first["actor"]),
        (&json!("workshop.sweep"), &json!("key:tests"))
    );
    assert!(
        !audit.to_string().contains("badly"),
        "arguments stay out of it: {audit}"
    );
}

#[test]
fn a_schedule_of_a_plugin_ticks_through_the_journal_once_each_also_over_a_kill() {
    let each_second = "[wiring.handlers.\"workshop.strike\"]\ncron = \"* * * * * *\"";
    let mut house = TestHouse::builder()
        .plugin("workshop", "coordinator_workshop", "")
        .config(each_second)
        .start();
    let struck = |house: &TestHouse| house.messages("org.example.workshop.struck.v1");
    eventually("it struck twice", || {
        (struck(&house).len() >= 2).then_some(())
    });
    house.kill();
    house.start();
    let before = struck(&house).len();
    eventually("it strikes on", || {
        (struck(&house).len() > before + 1).then_some(())
    });
    let listed = house.run(&["schedules", "list"]).exits(0).out;
    assert!(listed.contains("workshop.strike"), "{listed}");
    // No second was struck twice.
    let due: Vec<String> = struck(&house)
        .iter()
        .map(|message| message["key"].as_str().unwrap_or_default().to_owned())
        .collect();
    let mut once = due.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), due.len(), "{due:?}");
}

#[test]
fn a_schedule_whose_run_fails_is_tried_again_given_up_and_replayed() {
    let house = TestHouse::builder()
        .plugin("workshop", "coordinator_workshop", "")
        .config(
            "[flags]\n\"workshop.jam\" = true\n[wiring.handlers.\"workshop.strike\"]\n\
             cron = \"* * * * * *\"\nmax_attempts = 2\nbackoff = \"10ms..20ms\"",
        )
        .start();
    let letter = eventually("a tick is given up", || house.dead_letters().pop());
    assert_eq!(letter["handler"], "workshop.strike");
    assert_eq!(letter["attempts"], 2, "{letter}");
    let chain = letter["failure"].to_string();
    assert!(chain.contains("the hammer is jammed"), "{letter}");
    let struck = |house: &TestHouse| house.messages("org.example.workshop.struck.v1");
    assert!(struck(&house).is_empty());

    house.run(&["flag", "set", "workshop.jam", "off"]).exits(0);
    house.until_settled("workshop.strike");
    let given_up = house.dead_letters().len();
    let again = ["dead-letters", "replay", "--all", "--yes"];
    house.run(&again).exits(0);
    let id = letter["message"]["id"].as_str().expect("an id").to_owned();
    eventually("it has run after all", || {
        (house.message(&id)["state"] == "acked").then_some(())
    });
    // At the time that it was for, whenever it ran.
    let due = house.message(&id)["time"].clone();
    eventually("every one that was given up has struck", || {
        let struck = struck(&house);
        let late = struck.iter().any(|it| it["key"] == due);
        (late && struck.len() >= given_up && house.dead_letters().is_empty()).then_some(())
    });
}

#[test]
fn the_wiring_is_drawn() {
    let house = prices().start();
    let mermaid = house.run(&["graph"]).exits(0).out;
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert!(
        mermaid.contains(PRICE) && mermaid.contains("==>"),
        "{mermaid}"
    );
    let dot = house.run(&["graph", "--format", "dot"]).exits(0).out;
    assert!(dot.starts_with("digraph wiring {"), "{dot}");
    let drawn = house.run(&["graph", "--format", "json"]).exits(0).out;
    let drawn: Value = serde_json::from_str(&drawn).expect("JSON");
    let next = |edge: &&Value| edge["kind"] == "next";
    assert_eq!(
        drawn["edges"]
            .as_array()
            .map(|it| it.iter().filter(next).count()),
        Some(3)
    );
}

#[test]
fn what_plugins_check_themselves_is_told_by_check_and_at_the_start() {
    let house = workshop("finds = \"error\"").start();
    house.log().until("there is no saw", 1);
    let checked = house.run(&["check"]).exits(1).out;
    let saw = "error[workshop.no-saw] workshop.tools: there is no saw\n  (buy one)";
    assert!(checked.contains(saw), "{checked}");
    assert!(
        checked.contains("info[workshop.lamp] workshop.tools: the lamp is on\n"),
        "{checked}"
    );
    house.run(&["check", "--no-start"]).exits(0);
    let warned = workshop("finds = \"warning\"").start();
    let checked = warned.run(&["check", "--output", "json"]).exits(0).out;
    let checked: Value = serde_json::from_str(&checked).expect("JSON");
    let dull = json!({"id": "workshop.dull", "severity": "warning", "subject": "workshop.tools",
        "message": "the saw is dull", "hint": "sharpen it"});
    let findings = checked["findings"].as_array().cloned().unwrap_or_default();
    assert!(findings.contains(&dull), "{checked}");
    let panicking = workshop("finds = \"panic\"").start();
    let checked = panicking.run(&["check"]).exits(1).out;
    assert!(
        checked.contains("error[check-failed] workshop.tools: "),
        "{checked}"
    );
    assert!(checked.contains("the drawer is stuck"), "{checked}");
}

#[test]
fn a_plugin_that_says_it_is_ill_degrades_the_house_and_is_listed() {
    let house = workshop("")
        .config("[flags]\n\"workshop.ill\" = true")
        .start();
    let ready = eventually("it was asked", || {
        let ready = house.get("/readyz?verbose");
        (ready["status"] == "degraded").then_some(ready)
    });
    assert!(
        ready.to_string().contains("it says that it is not well"),
        "{ready}"
    );
    assert!(
        !ready.to_string().contains("glue"),
        "why is for operators: {ready}"
    );
    let listed = house.get("/api/v1/plugins");
    assert_eq!(
        listed["items"][0]["health"]["detail"],
        "the glue has dried up"
    );
}

#[test]
fn a_flag_is_switched_while_the_host_runs_stays_so_over_a_restart_and_has_a_history() {
    let mut house = workshop("").start();
    let open = |house: &TestHouse| attempt(house, "flag", "")["open"].clone();
    assert_eq!(open(&house), true, "as its author says");
    let set = house
        .run(&["flag", "set", "workshop.open", "off", "--comment", "fair"])
        .exits(0);
    assert!(set.out.contains("`workshop.open` is off"), "{}", set.out);
    assert_eq!(open(&house), false);
    house.terminate();
    house.start();
    assert_eq!(open(&house), false);
    let flag = house.get("/api/v1/flags/workshop.open");
    let stands = (&flag["on"], &flag["default"], &flag["set"]);
    assert_eq!(stands, (&json!(false), &json!(true), &json!(false)));
    let listed = house.run(&["flag", "list"]).exits(0).out;
    assert!(listed.contains("workshop.open  off  operator"), "{listed}");
    house.run(&["flag", "reset", "workshop.open"]).exits(0);
    assert_eq!(open(&house), true);

    let unknown = house.run(&["flag", "set", "workshop.opne", "on"]).exits(1);
    assert!(unknown.err.contains("[no-such-flag]"), "{}", unknown.err);
    house
        .run(&["flag", "set", "workshop.open", "maybe"])
        .exits(64);
    let put = |body: &Value| {
        let ask = house.ask("PUT", "/api/v1/flags/workshop.open");
        ask.key().json(body).send()
    };
    put(&json!({"on": "yes"})).is(400);
    put(&json!({"on": true, "off": true})).is(400);
    house
        .ask("PUT", "/api/v1/flags/workshop.open")
        .json(&json!({"on": true}))
        .send()
        .is(401);
    house
        .ask("POST", "/api/v1/flags/workshop.open")
        .key()
        .send()
        .is(405);
}

#[test]
fn a_flag_that_its_plugin_declares_on_and_off_stops_the_start_and_is_not_installed() {
    let told = TestHouse::builder()
        .plugin("undecided", "coordinator_undecided", "")
        .serve()
        .exits(78)
        .err;
    for text in [
        "error[duplicate-flag] undecided.open",
        "on in one and off in the other",
        "(declare it once in the plugin",
    ] {
        assert!(told.contains(text), "{told}");
    }
    let house = workshop("").config("[trust]\npolicy = \"any\"").start();
    let file = built("libcoordinator_undecided.so");
    let file = file.to_string_lossy();
    let refused = house.run(&["plugin", "install", &file]).exits(1).err;
    assert!(refused.contains("error[duplicate-flag]"), "{refused}");
    assert_eq!(attempt(&house, "flag", "")["open"], true);
}

#[test]
fn a_flag_that_no_plugin_declares_is_warned_of_with_the_nearest_name() {
    let house = workshop("")
        .config("[flags]\n\"workshop.opne\" = false")
        .start();
    let checked = house.run(&["check"]).exits(0).out;
    assert!(
        checked.contains("warning[unknown-flag] flags.\"workshop.opne\""),
        "{checked}"
    );
    assert!(
        checked.contains("did you mean `workshop.open`?"),
        "{checked}"
    );
}
