//! What has run on a host is remembered, and nothing older takes its place by itself.

use std::fs;

use coordinator_loader::{Floors, FloorsError, LoadErrorKind, LoadRequest, Loader, Trust, Version};

use crate::plugin_file::Changed;
use crate::signer::Signer;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

#[test]
fn the_highest_version_of_each_instance_outlives_the_process() {
    let data = tempfile::tempdir().unwrap();
    let floors = Floors::read(data.path()).unwrap();
    assert_eq!(floors.of("lms"), None);
    let [one, two, rc] = ["1.0.0", "2.0.0", "2.0.0-rc.1"].map(version);
    floors.raise([("lms", &one), ("pay", &rc)]).unwrap();
    floors.raise([("lms", &two)]).unwrap();
    floors.raise([("lms", &one), ("pay", &one)]).unwrap();
    let again = Floors::read(data.path()).unwrap();
    assert_eq!(again.of("lms"), Some(two));
    assert_eq!(again.of("pay"), Some(rc));
    assert_eq!(again.of("other"), None);
}

#[test]
fn nothing_is_written_while_nothing_rises() {
    let data = tempfile::tempdir().unwrap();
    let floors = Floors::read(data.path()).unwrap();
    floors.raise([("lms", &version("1.0.0"))]).unwrap();
    let file = data.path().join("floors.toml");
    fs::remove_file(&file).unwrap();
    floors.raise([("lms", &version("1.0.0"))]).unwrap();
    assert!(!file.exists());
}

#[test]
fn a_list_that_was_edited_wrongly_is_refused_and_not_taken_for_empty() {
    let data = tempfile::tempdir().unwrap();
    for wrong in [
        "lms = 1",
        "[highest]\nlms = 1",
        "[highest]\nlms = \"one\"",
        "[lowest]",
    ] {
        fs::write(data.path().join("floors.toml"), wrong).unwrap();
        let error = Floors::read(data.path()).unwrap_err();
        assert!(matches!(error, FloorsError::Malformed { .. }), "{wrong}");
        assert!(error.to_string().contains("[highest]"), "{error}");
    }
}

#[test]
fn an_instance_whose_higher_version_has_run_does_not_load_a_lower_one() {
    let (data, plugin, signer) = (
        tempfile::tempdir().unwrap(),
        Changed::hello(),
        Signer::new(),
    );
    signer.sign(&plugin.path());
    let signed = Trust::Signed([signer.key()].into_iter().collect());
    let loader = |trust: Trust| Loader::new(trust).with_floors(Floors::read(data.path()).unwrap());
    let request = |name: &str| LoadRequest::new(plugin.path()).instance(name);
    let first = loader(signed.clone());
    let loaded = first.load(request("hello")).unwrap();
    first.raise([("hello", loaded.version()), ("upgraded", &version("9.0.0"))]);

    let next = loader(signed);
    next.load(request("hello")).map(drop).unwrap();
    let error = next.load(request("upgraded")).err().unwrap();
    assert_eq!(error.kind(), LoadErrorKind::Untrusted);
    assert!(
        error.reason().contains("9.0.0 has run here before"),
        "{error}"
    );
    assert!(error.hint().contains("floors.toml"), "{error}");
    // An operator who goes back says so, and that counts.
    let back = request("upgraded").floor(version("0.0.1"));
    next.load(back).map(drop).unwrap();
    // Another instance of the same file has its own past, and only signatures need one.
    next.load(request("other")).map(drop).unwrap();
    loader(Trust::Any)
        .load(request("upgraded"))
        .map(drop)
        .unwrap();
}

#[test]
fn the_data_folder_is_made_if_nothing_else_made_it() {
    let host = tempfile::tempdir().unwrap();
    let data = host.path().join("var/data");
    let floors = Floors::read(&data).unwrap();
    floors.raise([("stripe", &version("1.2.0"))]).unwrap();
    let again = Floors::read(&data).unwrap();
    assert_eq!(again.of("stripe"), Some(version("1.2.0")));
}
