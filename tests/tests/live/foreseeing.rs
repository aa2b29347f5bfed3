//! `check` and `graph` look at what a host would run if it started now, not at its file alone.

use serde_json::Value;

use crate::stage::{file, house, run};
use coordinator_tests::TestHouse;

/// What `check` says, as programs read it.
#[track_caller]
fn checked(house: &TestHouse, code: i32, more: &[&str]) -> Value {
    let arguments = [&["check", "--output", "json"], more].concat();
    let told = run(house, &arguments).exits(code).out;
    serde_json::from_str(&told).expect("it is JSON")
}

#[track_caller]
fn drawn(house: &TestHouse, more: &[&str]) -> String {
    run(house, &[&["graph"], more].concat()).exits(0).out
}

/// A house with the plugin in its file.
fn of_file(more: &str) -> TestHouse {
    TestHouse::builder()
        .plugin("changing", "changing", "")
        .config(more)
        .start()
}

#[test]
fn what_is_installed_is_checked_and_drawn_unless_the_file_alone_is_asked_for() {
    let mut house = house("");
    let seen = checked(&house, 0, &[]);
    let plugin = &seen["plugins"][0];
    assert_eq!(
        (&plugin["name"], &plugin["source"]),
        (&"changing".into(), &"override".into())
    );
    let table = run(&house, &["check"]).exits(0);
    assert!(table.out.contains("  (installed)\n"), "{}", table.out);
    assert!(table.err.contains("revision 1"), "{}", table.err);
    assert_eq!(
        checked(&house, 0, &["--file-only"])["plugins"],
        Value::Array(Vec::new())
    );
    assert!(drawn(&house, &[]).contains("changing.note"));
    assert!(!drawn(&house, &["--file-only"]).contains("changing.note"));

    // An upgraded one is seen as it is now.
    run(
        &house,
        &["plugin", "upgrade", "changing", &file(&house, "changed")],
    )
    .exits(0);
    let path = |seen: &Value| seen["plugins"][0]["path"].clone();
    assert_ne!(path(&checked(&house, 0, &[])), path(&seen));
    run(&house, &["wiring", "set", "changing.note.enabled=false"]).exits(0);
    assert!(!drawn(&house, &[]).contains("changing.note"));
    run(&house, &["plugin", "disable", "changing", "--yes"]).exits(0);
    // Nor does it take a running host.
    assert_eq!(house.terminate(), Some(0));
    assert_eq!(checked(&house, 0, &[])["plugins"], Value::Array(Vec::new()));
    let database = house.folder().join("data/coordinator.db");
    std::fs::remove_file(&database).expect("it is there");
    assert!(run(&house, &["check"]).exits(0).err.is_empty());
    assert!(!database.exists(), "a look makes nothing");
}

#[test]
fn an_override_that_does_not_fit_the_file_any_more_is_found_before_the_start() {
    let mut house = of_file("");
    run(&house, &["wiring", "set", "changing.note.max_attempts=3"]).exits(0);
    assert_eq!(house.terminate(), Some(0));
    house.reconfigure("[plugins.changing", "[plugins.changes");
    let seen = checked(&house, 1, &[]);
    let finding = &seen["findings"][0];
    assert_eq!(finding["id"], "unknown-handler", "{seen}");
    assert_eq!(
        finding["sources"],
        serde_json::json!(["override"]),
        "{seen}"
    );
    let table = run(&house, &["check"]).exits(1).out;
    assert!(table.contains("\n  written in: override\n"), "{table}");
    let started = run(&house, &["serve"]).exits(78).err;
    assert!(started.contains("changing.note"), "{started}");
    checked(&house, 0, &["--file-only"]);
    run(&house, &["graph"]).exits(1);
}

#[test]
fn a_setting_of_a_plugin_that_is_gone_is_told_as_an_override() {
    let mut house = of_file("");
    run(&house, &["settings", "set", "changing", "word=one"]).exits(0);
    assert_eq!(house.terminate(), Some(0));
    house.reconfigure("[plugins.changing", "[plugins.changes");
    let wrong = run(&house, &["check"]).exits(78).err;
    assert!(wrong.contains("override: plugins.changing"), "{wrong}");
    run(&house, &["check", "--file-only"]).exits(0);
}

#[test]
fn a_mistake_of_the_file_is_told_as_the_files() {
    let mut house = of_file("");
    run(&house, &["wiring", "set", "changing.note.timeout=7s"]).exits(0);
    assert_eq!(house.terminate(), Some(0));
    let more = "[wiring.handlers.\"changing.nto\"]\ntimeout = \"7s\"\n[api.keys.tests]";
    house.reconfigure("[api.keys.tests]", more);
    let seen = checked(&house, 1, &[]);
    let sources = seen["findings"][0]["sources"].as_array().expect("a list");
    assert_eq!(sources.len(), 1, "{seen}");
    let source = sources[0].as_str().unwrap_or_default();
    assert!(source.ends_with("coordinator.toml"), "{seen}");
}

#[test]
fn an_installed_file_that_is_not_on_this_host_is_told_with_what_to_do() {
    let mut house = house("");
    assert_eq!(house.terminate(), Some(0));
    std::fs::remove_dir_all(house.folder().join("data/plugins")).expect("it is there");
    let told = run(&house, &["check"]).exits(70).out;
    assert!(told.contains("is not on this host"), "{told}");
    assert!(told.contains("plugin bring changing"), "{told}");
}
