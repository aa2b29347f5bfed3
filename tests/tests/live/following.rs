//! Hosts that share one database: what is changed at one of them is in force at the others.

use coordinator_tests::{TestHouse, eventually};
use tempfile::TempDir;

use crate::stage::{run, version};

fn host(shared: &TempDir) -> TestHouse {
    let database = shared.path().join("coordinator.db");
    let url = format!("sqlite://{}", database.display());
    TestHouse::builder()
        .config(&format!(
            "[trust]\npolicy = \"any\"\n[database]\nurl = {url:?}"
        ))
        .plugin("changing", "changing", "word = \"file\"")
        .start()
}

#[test]
fn settings_that_are_changed_at_one_host_are_in_force_at_another_without_a_restart() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let (one, other) = (host(&shared), host(&shared));
    run(&one, &["settings", "set", "changing", "word=shared"]).exits(0);
    assert_eq!(version(&one), "1.0.0 shared");
    eventually("the other host follows", || {
        (version(&other) == "1.0.0 shared").then_some(())
    });
    // And the other way round, on top of it.
    run(&other, &["settings", "revert", "changing", "0", "--yes"]).exits(0);
    eventually("the first host follows", || {
        (version(&one) == "1.0.0 file").then_some(())
    });
}
