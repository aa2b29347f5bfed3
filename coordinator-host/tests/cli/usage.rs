//! What every command has in common: codes for bad usage, help, completions and manual pages.

use crate::run::folder;

#[test]
fn bad_usage_exits_with_64_and_help_with_0() {
    let folder = folder();
    for wrong in [
        &[][..],
        &["serv"],
        &["messages"],
        &["messages", "show"],
        &["plugin", "inspect"],
        &["check", "--format", "yaml"],
        &["messages", "list", "--since", "yesterday"],
        &["messages", "list", "--url", "ftp://host"],
        &["messages", "publish", "--type", "not a type"],
        &["dead-letters", "replay"],
        &["dead-letters", "discard"],
        &["messages", "replay"],
        &[
            "messages",
            "replay",
            "ID",
            "--type",
            "org.example.order.placed.v1",
        ],
        &["messages", "replay", "--all", "--rate", "0"],
        &["messages", "discard"],
    ] {
        let ended = folder.run(wrong).exits(64);
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{ended:#?}");
    }
    assert!(folder.run(&["--help"]).exits(0).out.contains("Exit codes:"));
    assert!(
        folder
            .run(&["--version"])
            .exits(0)
            .out
            .starts_with("coordinator ")
    );
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completions", shell]).exits(0).out;
        assert!(script.contains("dead-letters"), "{shell}");
    }
    assert!(
        folder
            .run(&["man"])
            .exits(0)
            .out
            .contains(".TH coordinator 1")
    );
    folder.run(&["man", "--dir", "."]).exits(0);
    assert!(folder.path().join("coordinator-plugin-lock.1").exists());
}

#[test]
fn help_shows_no_key_from_the_environment() {
    let mut command = crate::run::coordinator();
    command
        .args(["messages", "list", "--help"])
        .env("COORDINATOR_KEY", "hunter2");
    let ended = crate::run::end(&mut command, "").exits(0);
    assert!(ended.out.contains("COORDINATOR_KEY") && !ended.out.contains("hunter2"));
}
