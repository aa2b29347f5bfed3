//! Changes during which something fails or dies: afterwards there is the whole change, or nothing of it.

use std::process::Stdio;

use rand::RngExt as _;

use crate::stage::{HAPPENED, file, happen, house, plugin, run, until_retired, version};

#[test]
fn a_change_that_cannot_be_stored_is_not_in_force_and_works_once_it_can() {
    let house = house("");
    let set = ["settings", "set", "changing", "word=kept"];
    house.limit_files(Some(1));
    let refused = run(&house, &set).exits(69);
    assert!(
        refused.err.contains("database-unavailable"),
        "{}",
        refused.err
    );
    assert_eq!(version(&house), "1.0.0");
    assert_eq!(plugin(&house, "changing")["generation"], 1);
    house.limit_files(None);
    run(&house, &set).exits(0);
    assert_eq!(version(&house), "1.0.0 kept");
    until_retired(&house);
}

#[test]
fn a_host_that_is_killed_in_the_middle_of_a_change_comes_back_with_it_or_without_it() {
    let mut house = house("");
    let mut number = 0;
    for round in 0..6 {
        let name = if round % 2 == 0 {
            "changed"
        } else {
            "changing"
        };
        let next = file(&house, name);
        let word = format!("word=round{round}");
        let mut command =
            house.command(&["plugin", "upgrade", "changing", &next, "--setting", &word]);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut upgrading = quiet.spawn().expect("the binary runs");
        // So many messages are accepted until then: a different moment each time.
        for _ in 0..rand::rng().random_range(0..20) {
            happen(&house, number).is(202);
            number += 1;
        }
        house.kill();
        // It fails, unless it was done before.
        let _ = upgrading.wait().expect("it ends");
        house.start();
        let now = version(&house);
        let file = if now.starts_with('1') {
            "changing"
        } else {
            "changed"
        };
        let path = plugin(&house, "changing")["path"].to_string();
        // The version that answers is the one that is stored, with the settings that came with it.
        assert!(path.contains(&format!("{file}-")), "{now}: {path}");
        let with_it = now.ends_with(&format!("round{round}"));
        assert_eq!(
            with_it,
            path.contains(&next[next.rfind('/').expect("a path") + 1..]),
            "{now}: {path}"
        );
    }
    house.until_settled("changing.note");
    assert_eq!(house.messages(HAPPENED).len() as u64, number);
}
