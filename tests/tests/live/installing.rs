//! A plugin's whole life, through the command line, on a host that is never restarted for it.

use coordinator_tests::TestHouse;
use serde_json::json;

use crate::stage::{HAPPENED, file, happen, house, plugin, run, until_retired, version};

#[test]
fn a_plugin_is_installed_upgraded_rolled_back_switched_off_and_on_and_taken_away() {
    let house = house("");
    assert_eq!(version(&house), "1.0.0");
    let second = file(&house, "changed");
    let done = run(&house, &["plugin", "upgrade", "changing", &second]).exits(0);
    assert!(
        done.out.starts_with("upgraded `changing`, revision "),
        "{}",
        done.out
    );
    assert_eq!(version(&house), "2.0.0");

    run(&house, &["plugin", "rollback", "changing", "--yes"]).exits(0);
    assert_eq!(version(&house), "1.0.0");
    let again = run(&house, &["plugin", "rollback", "changing", "--yes"]).exits(1);
    assert!(again.err.contains("no earlier version"), "{}", again.err);

    run(&house, &["plugin", "disable", "changing", "--yes"]).exits(0);
    let (code, _) = house
        .ask("GET", "/changing/version")
        .send()
        .is(503)
        .problem();
    assert_eq!(code, "plugin-unavailable");
    assert_eq!(plugin(&house, "changing")["state"], "disabled");
    run(&house, &["plugin", "enable", "changing"]).exits(0);
    assert_eq!(version(&house), "1.0.0");

    let list = run(&house, &["plugin", "list"]).exits(0).out;
    for heading in ["ON DISK", "GENERATION", "ISOLATION", "MEMORY"] {
        assert!(list.contains(heading), "{list}");
    }
    run(&house, &["plugin", "uninstall", "changing", "--yes"]).exits(0);
    house.ask("GET", "/changing/version").send().is(404);
    assert_eq!(plugin(&house, "changing"), json!(null));
    let gone = run(&house, &["plugin", "uninstall", "changing", "--yes"]).exits(1);
    assert!(
        gone.err.contains("there is no plugin `changing`"),
        "{}",
        gone.err
    );
}

#[test]
fn what_was_installed_and_set_is_there_after_a_kill_and_the_file_it_came_from_does_not_matter() {
    let mut house = house("");
    let second = file(&house, "changed");
    let upgrade = [
        "plugin",
        "upgrade",
        "changing",
        &second,
        "--setting",
        "word=hello",
    ];
    run(&house, &upgrade).exits(0);
    std::fs::write(&second, "another file by now").expect("it is ours");
    house.kill();
    house.start();
    assert_eq!(version(&house), "2.0.0 hello");
    let listed = plugin(&house, "changing");
    assert_eq!(listed["on_disk"]["loaded"], true, "{listed}");
    assert_eq!(listed["installed"], true, "{listed}");
}

#[test]
fn messages_wait_for_a_plugin_that_is_switched_off_and_are_delivered_when_it_is_back() {
    let house = house("");
    run(
        &house,
        &[
            "plugin",
            "install",
            &file(&house, "changed"),
            "--as",
            "other",
        ],
    )
    .exits(0);
    run(&house, &["plugin", "disable", "changing", "--yes"]).exits(0);
    for number in 0..20 {
        let body = json!({"number": number});
        house
            .ask("POST", "/other/happen")
            .json(&body)
            .send()
            .is(202);
    }
    house.until_settled("other.note");
    assert_eq!(house.handler("changing.note")["lag"], 20);
    run(&house, &["plugin", "enable", "changing"]).exits(0);
    house.until_settled("changing.note");
    assert_eq!(house.messages(HAPPENED).len(), 20);
}

#[test]
fn a_plugin_of_the_configuration_file_is_upgraded_and_rolled_back_and_not_uninstalled() {
    let house = TestHouse::builder()
        .config("[trust]\npolicy = \"any\"")
        .plugin("changing", "changing", "word = \"kept\"")
        .start();
    assert_eq!(version(&house), "1.0.0 kept");
    let refused = run(&house, &["plugin", "uninstall", "changing", "--yes"]).exits(1);
    assert!(
        refused.err.contains("stands in the configuration file"),
        "{}",
        refused.err
    );
    run(
        &house,
        &["plugin", "upgrade", "changing", &file(&house, "changed")],
    )
    .exits(0);
    assert_eq!(version(&house), "2.0.0 kept");
    run(&house, &["plugin", "rollback", "changing", "--yes"]).exits(0);
    assert_eq!(version(&house), "1.0.0 kept");
    until_retired(&house);
}

#[test]
fn a_folder_with_one_plugin_and_a_file_url_can_be_installed_from() {
    let house = house("");
    let folder = house.folder().join("release");
    std::fs::create_dir(&folder).expect("the folder is writable");
    std::fs::copy(file(&house, "changed"), folder.join("libchanged.so")).expect("it is writable");
    let folder = folder.to_string_lossy();
    run(
        &house,
        &[
            "plugin",
            "install",
            &folder,
            "--as",
            "one",
            "--mount",
            "/of/folder",
        ],
    )
    .exits(0);
    house.ask("GET", "/of/folder/version").send().is(200);
    let url = format!("file://{}", file(&house, "changed"));
    run(&house, &["plugin", "install", &url, "--as", "two"]).exits(0);
    house.ask("GET", "/two/version").send().is(200);
    happen(&house, 1).is(202);
    for handler in ["changing.note", "one.note", "two.note"] {
        house.until_settled(handler);
    }
}
