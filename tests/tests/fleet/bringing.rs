//! A plugin that one host installs: the others know of it, and have it when its file is brought to them.

use coordinator_tests::{TestHouse, eventually};
use serde_json::Value;

use crate::stage::{file, plugin, run, version};
use crate::town::Town;

fn host(town: &Town) -> TestHouse {
    town.host()
        .plugin("workshop", "coordinator_workshop", "")
        .config("[wiring.handlers.\"workshop.strike\"]\nenabled = false")
        .start()
}

/// Waits until the host knows that it lacks this version of the plugin.
fn until_missing(house: &TestHouse, version: &str) -> Value {
    eventually("the host knows what it lacks", || {
        let listed = plugin(house, "changing");
        (listed["missing"]["version"] == version).then_some(listed)
    })
}

fn check(house: &TestHouse) -> Value {
    let ready = house.get("/readyz?verbose");
    let checks = ready["checks"].as_array().unwrap().iter();
    let mut own = checks.filter(|check| check["name"] == "plugin changing");
    own.next().cloned().unwrap_or(Value::Null)
}

#[test]
fn a_plugin_of_one_host_is_missing_at_the_other_until_its_file_is_brought() {
    let town = Town::new();
    let (one, mut other) = (host(&town), host(&town));
    let first = file(&one, "changing");
    run(&one, &["plugin", "install", &first]).exits(0);
    let listed = until_missing(&other, "1.0.0");
    assert_eq!(listed["state"], "failed");
    assert_eq!(
        listed["missing"]["sha256"],
        plugin(&one, "changing")["sha256"]
    );
    assert_eq!(check(&other)["status"], "degraded");
    other.ask("GET", "/changing/version").send().is(503);
    let table = run(&other, &["plugin", "list"]).exits(0);
    let hint = "coordinator plugin bring changing FILE";
    assert!(table.err.contains(hint), "{}", table.err);

    // All else of the first host is followed, and the second one may be started again.
    run(&one, &["flag", "set", "workshop.ill", "on"]).exits(0);
    eventually("the other host follows", || {
        let flag = other.get("/api/v1/flags/workshop.ill");
        (flag["on"] == true).then_some(())
    });
    run(&one, &["flag", "reset", "workshop.ill"]).exits(0);
    other.terminate();
    other.start();
    until_missing(&other, "1.0.0");

    let second = file(&one, "changed");
    let wrong = run(&other, &["plugin", "bring", "changing", &second]).exits(1);
    assert!(wrong.err.contains("another-file"), "{}", wrong.err);
    run(&other, &["plugin", "bring", "changing", &first]).exits(0);
    assert_eq!(version(&other), "1.0.0");
    assert!(plugin(&other, "changing")["missing"].is_null());
}

#[test]
fn an_upgrade_of_one_host_leaves_the_other_at_the_old_version_until_its_file_is_brought() {
    let town = Town::new();
    let (one, other) = (host(&town), host(&town));
    let (first, second) = (file(&one, "changing"), file(&one, "changed"));
    run(&one, &["plugin", "install", &first]).exits(0);
    until_missing(&other, "1.0.0");
    run(&other, &["plugin", "bring", "changing", &first]).exits(0);
    let upgrade = [
        "plugin",
        "upgrade",
        "changing",
        &second,
        "--setting",
        "word=new",
    ];
    run(&one, &upgrade).exits(0);
    assert_eq!(version(&one), "2.0.0 new");
    let listed = until_missing(&other, "2.0.0");
    assert_eq!(
        (&listed["state"], &listed["version"]),
        (&"ready".into(), &"1.0.0".into())
    );
    assert_eq!(version(&other), "1.0.0", "with the settings that it had");
    assert_eq!(check(&other)["status"], "degraded");
    let set = ["settings", "set", "changing", "word=other"];
    let refused = run(&other, &set).exits(1);
    assert!(
        refused.err.contains("is not on this host"),
        "{}",
        refused.err
    );

    run(&other, &["plugin", "bring", "changing", &second]).exits(0);
    assert_eq!(version(&other), "2.0.0 new");
    assert_eq!(check(&other)["status"], "ok");
    // It has both versions by now: going back needs nothing brought.
    run(&one, &["plugin", "rollback", "changing", "--yes"]).exits(0);
    eventually("the other host goes back too", || {
        version(&other).starts_with("1.0.0").then_some(())
    });
    let audit = other.get("/api/v1/audit?action=plugin.bring");
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    run(&other, &["plugin", "uninstall", "changing", "--yes"]).exits(0);
    eventually("it is gone from the first host too", || {
        (one.ask("GET", "/changing/version").send().status == 404).then_some(())
    });
}

#[test]
fn what_stands_in_the_file_of_both_is_at_both_when_one_of_them_upgrades_it_and_goes_back() {
    let town = Town::new();
    let host = || {
        let builder = town
            .host()
            .plugin("changing", "changing", "word = \"file\"");
        builder.start()
    };
    let (one, other) = (host(), host());
    let second = file(&one, "changed");
    run(&one, &["plugin", "upgrade", "changing", &second]).exits(0);
    assert_eq!(version(&one), "2.0.0 file");
    until_missing(&other, "2.0.0");
    assert_eq!(version(&other), "1.0.0 file");
    run(&other, &["plugin", "bring", "changing", &second]).exits(0);
    assert_eq!(version(&other), "2.0.0 file");
    run(&one, &["plugin", "rollback", "changing", "--yes"]).exits(0);
    eventually("the other host goes back too", || {
        (version(&other) == "1.0.0 file").then_some(())
    });
    assert!(plugin(&other, "changing")["missing"].is_null());
}
