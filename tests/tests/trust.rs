//! A host that loads only what a trusted key has signed.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use coordinator_tests::{TestHouse, built};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `coordinator` in a folder; answers what it printed.
fn coordinator(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(built("coordinator"));
    let ended = command
        .args(arguments)
        .args(["--output", "json"])
        .current_dir(folder)
        .output()
        .expect("the binary runs");
    assert!(ended.status.success(), "{ended:?}");
    serde_json::from_slice(&ended.stdout).expect("it prints JSON")
}

#[test]
fn what_is_signed_serves_and_what_was_changed_since_is_told_and_does_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    std::fs::copy(built("libhello.so"), here.join("hello.so")).expect("the folder is writable");
    let made = coordinator(here, &["plugin", "keygen", "--no-password"]);
    coordinator(
        here,
        &["plugin", "sign", "hello.so", "--key", "plugin-signing.key"],
    );
    let [file, signature] = ["hello.so", "hello.so.minisig"]
        .map(|name| std::fs::read(here.join(name)).expect("it is there"));
    let changed = [&file[..], b"!"].concat();
    let trust = format!(
        "[trust]\npolicy = \"signed\"\nkeys = [{{ key = {}, name = \"acme\" }}]",
        made["key"]
    );
    let house = TestHouse::builder()
        .file("hello.so", &file)
        .file("hello.so.minisig", &signature)
        .file("changed.so", &changed)
        .file("changed.so.minisig", &signature)
        .file("unsigned.so", &file)
        .config("[plugins.hello]\npath = \"hello.so\"\nrequired = true")
        .config("[plugins.changed]\npath = \"changed.so\"")
        .config("[plugins.unsigned]\npath = \"unsigned.so\"")
        .config(&trust)
        .start();
    let greet = |mount: &str| {
        let asked = house.ask("POST", &format!("/{mount}/greetings"));
        asked.json(&json!({ "name": "Ada" })).send()
    };
    greet("hello").is(202);
    greet("changed").is(503);
    greet("unsigned").is(503);
    let listed = house.run(&["plugin", "list"]).exits(0);
    for reason in [
        "the file was changed after it was signed",
        "is not signed: there is no",
    ] {
        assert!(listed.err.contains(reason), "{}", listed.err);
    }
}

/// A key, and plugin files of two versions that it has signed, in a folder that is not the house's.
struct Maker {
    folder: TempDir,
    key: Value,
}

impl Maker {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = coordinator(folder.path(), &["plugin", "keygen", "--no-password"]);
        let maker = Self {
            folder,
            key: key["key"].clone(),
        };
        for version in ["changing", "changed"] {
            let file = built(&format!("lib{version}.so"));
            std::fs::copy(file, maker.path(version)).expect("the folder is writable");
            let file = maker.path(version);
            let sign = ["plugin", "sign", &file, "--key", "plugin-signing.key"];
            coordinator(maker.folder.path(), &sign);
        }
        maker
    }

    /// `changing` is 1.0.0, `changed` is 2.0.0.
    fn path(&self, version: &str) -> String {
        let path = self.folder.path().join(format!("{version}.so"));
        path.to_str().expect("text").to_owned()
    }

    fn trusted(&self, terms: &str) -> String {
        let key = &self.key;
        format!("[trust]\npolicy = \"signed\"\nkeys = [{{ key = {key}, name = \"acme\"{terms} }}]")
    }
}

fn version(house: &TestHouse) -> String {
    let answer = house.ask("GET", "/changing/version").send().is(200);
    answer.text().trim().to_owned()
}

#[test]
fn what_is_older_than_what_has_run_is_refused_until_an_operator_goes_back() {
    let maker = Maker::new();
    let (first, second) = (maker.path("changing"), maker.path("changed"));
    let mut house = TestHouse::builder().config(&maker.trusted("")).start();
    house.run(&["plugin", "install", &first]).exits(0);
    let upgrade =
        |house: &TestHouse, file: &str| house.run(&["plugin", "upgrade", "changing", file]);
    upgrade(&house, &second).exits(0);
    assert_eq!(version(&house), "2.0.0");
    let older = upgrade(&house, &first).exits(1);
    assert!(
        older.err.contains("2.0.0 has run here before"),
        "{}",
        older.err
    );
    std::fs::remove_file(format!("{first}.minisig")).expect("it is there");
    let unsigned = upgrade(&house, &first).exits(1);
    assert!(unsigned.err.contains("is not signed"), "{}", unsigned.err);
    assert_eq!(version(&house), "2.0.0");

    house
        .run(&["plugin", "rollback", "changing", "--yes"])
        .exits(0);
    assert_eq!(version(&house), "1.0.0");
    house.kill();
    house.start();
    assert_eq!(version(&house), "1.0.0");
}

/// The file of a plugin of the configuration is put back while nobody looks.
#[test]
fn an_older_file_that_was_put_in_the_place_of_a_newer_one_does_not_come_back() {
    let maker = Maker::new();
    let mut house = TestHouse::builder()
        .config("[plugins.changing]\npath = \"plugin.so\"")
        .config(&maker.trusted(""))
        .start();
    let put = |house: &TestHouse, version: &str| {
        for (from, to) in [("", ""), (".minisig", ".minisig")] {
            let to = house.folder().join(format!("plugin.so{to}"));
            std::fs::copy(format!("{}{from}", maker.path(version)), to).expect("it is writable");
        }
    };
    let restarted = |house: &mut TestHouse| {
        house.kill();
        house.start();
        house.run(&["plugin", "list"]).exits(0).err
    };
    put(&house, "changed");
    restarted(&mut house);
    assert_eq!(version(&house), "2.0.0");
    put(&house, "changing");
    let said = restarted(&mut house);
    assert!(said.contains("2.0.0 has run here before"), "{said}");
    house.ask("GET", "/changing/version").send().is(503);

    // As the hint says.
    std::fs::remove_file(house.folder().join("data/floors.toml")).expect("it is there");
    restarted(&mut house);
    assert_eq!(version(&house), "1.0.0");
}

#[test]
fn a_key_is_trusted_and_revoked_without_a_restart() {
    let (maker, other) = (Maker::new(), Maker::new());
    let house = TestHouse::builder().config(&maker.trusted("")).start();
    let install = |name: &str, file: &str| house.run(&["plugin", "install", file, "--as", name]);
    install("one", &maker.path("changing")).exits(0);
    install("two", &other.path("changing")).exits(1);

    let both = format!("keys = [{}, {{ key = {}", other.key, maker.key);
    house.reconfigure(&format!("keys = [{{ key = {}", maker.key), &both);
    house.hang_up();
    house
        .log()
        .until("the configuration was read again, and is in force", 1);
    install("two", &other.path("changed")).exits(0);

    // What runs would be refused: nothing changes, and the key counts as before.
    house.reconfigure("name = \"acme\"", "name = \"acme\", revoked = true");
    house.hang_up();
    house.log().until("everything is as it was", 1);
    let why = house.log().lines();
    assert!(
        why.iter().any(|line| line.contains("is revoked")),
        "{why:?}"
    );
    install("three", &maker.path("changing")).exits(0);

    for name in ["one", "three"] {
        house.run(&["plugin", "disable", name, "--yes"]).exits(0);
    }
    house.hang_up();
    house
        .log()
        .until("the configuration was read again, and is in force", 2);
    let revoked = install("four", &maker.path("changed")).exits(1);
    assert!(revoked.err.contains("is revoked"), "{}", revoked.err);
}
