//! A house with the plugin that is upgraded, and files of its versions.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use coordinator_tests::{Answer, Ended, TestHouse, built, eventually};
use serde_json::{Value, json};

pub(crate) const HAPPENED: &str = "org.example.change.happened.v1";

/// A house that loads any plugin, with the first version installed as `changing`.
pub(crate) fn house(more: &str) -> TestHouse {
    let house = TestHouse::builder()
        .config("[trust]\npolicy = \"any\"")
        .config(more)
        .start();
    let first = file(&house, "changing");
    run(&house, &["plugin", "install", &first]).exits(0);
    house
}

/// A plugin file of a test's own: no two have the same bytes, and the loader maps each.
pub(crate) fn file(house: &TestHouse, name: &str) -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let mut bytes = std::fs::read(built(&format!("lib{name}.so"))).expect("it is built");
    // Beyond what the headers name: the library is the same, its hash is not.
    bytes.extend_from_slice(format!("file {number}").as_bytes());
    let path: PathBuf = house.folder().join(format!("{name}-{number}.so"));
    std::fs::write(&path, bytes).expect("the folder is writable");
    path.to_string_lossy().into_owned()
}

/// A command that has nobody to ask.
pub(crate) fn run(house: &TestHouse, arguments: &[&str]) -> Ended {
    house.run(arguments)
}

/// What the plugin says of itself: version, and the word that it was set.
#[track_caller]
pub(crate) fn version(house: &TestHouse) -> String {
    let answer = house.ask("GET", "/changing/version").send().is(200);
    answer.text().trim().to_owned()
}

/// One plugin, as `plugin list` has it.
#[track_caller]
pub(crate) fn plugin(house: &TestHouse, name: &str) -> Value {
    let list = house.get("/api/v1/plugins");
    let items = list["items"].as_array().expect("a list");
    let found = items.iter().find(|item| item["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

#[track_caller]
pub(crate) fn happen(house: &TestHouse, number: u64) -> Answer {
    let body = json!({"number": number});
    house.ask("POST", "/changing/happen").json(&body).send()
}

/// Waits until no generation drains any more.
#[track_caller]
pub(crate) fn until_retired(house: &TestHouse) {
    eventually("old generations have ended", || {
        plugin(house, "changing")["retiring"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    });
}

/// A number of the page `/metrics`.
pub(crate) fn metric(house: &TestHouse, line: &str) -> u64 {
    let page = house.ask("GET", "/metrics").send().is(200).text();
    let found = page.lines().find_map(|found| found.strip_prefix(line));
    found.map_or(0, |number| number.trim().parse().expect("a number"))
}

/// Threads of the host's process, without those of the database's connections, which come as they are needed.
pub(crate) fn threads(house: &TestHouse) -> usize {
    names_of_threads(house).len()
}

/// A thread that a plugin begins at its start is called as the one that starts it.
pub(crate) fn threads_of_plugins(house: &TestHouse) -> usize {
    let names = names_of_threads(house);
    names
        .iter()
        .filter(|name| name.starts_with("start-"))
        .count()
}

fn names_of_threads(house: &TestHouse) -> Vec<String> {
    let folder = format!("/proc/{}/task", house.pid());
    let threads = std::fs::read_dir(folder).expect("it runs");
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        // One that has just ended has no name any more.
        std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    };
    let names = threads.filter_map(name);
    names
        .filter(|name| !name.starts_with("sqlx-sqlite"))
        .collect()
}

/// Lines of the host's log at this level or with this text.
pub(crate) fn said(house: &TestHouse, text: &str) -> Vec<String> {
    let lines = house.log().lines();
    lines
        .into_iter()
        .filter(|line| line.contains(text))
        .collect()
}
