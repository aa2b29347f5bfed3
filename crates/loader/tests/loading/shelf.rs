//! Installed files, each under its hash: nobody's edit elsewhere changes them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use coordinator_loader::{Loader, LockFile, Preflight, Shelf, SourceError, Trust, find};

use crate::plugin_file::{self, Changed};
use crate::signer::{Signer, beside};

fn checked(path: &Path) -> Preflight {
    Loader::new(Trust::Any).preflight(path).unwrap()
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn an_installed_plugin_does_not_change_with_the_file_that_it_came_from() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    let before = checked(&plugin.path());
    let shelved = Shelf::new(data.path()).put(&before).unwrap();
    let expected = data
        .path()
        .join("plugins")
        .join(before.sha256())
        .join("libhello.so");
    assert_eq!(shelved, expected);
    let plugin = plugin.last_byte_changed();
    assert_eq!(checked(&shelved).sha256(), before.sha256());
    fs::remove_file(plugin.path()).unwrap();
    let loaded = Loader::new(Trust::Any).load(&shelved).unwrap();
    assert_eq!(
        (loaded.sha256(), loaded.size()),
        (before.sha256(), before.size())
    );
    let mode = fs::metadata(&shelved).unwrap().permissions().mode();
    assert_eq!(mode & 0o222, 0, "nobody is to write it");
}

#[test]
fn the_same_bytes_stand_there_once_and_others_beside_them() {
    let data = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(data.path());
    let (one, same, other) = (Changed::hello(), Changed::hello(), Changed::hello());
    let other = other.last_byte_changed();
    let put = |plugin: &Changed| shelf.put(&checked(&plugin.path())).unwrap();
    let first = put(&one);
    let written = fs::metadata(&first).unwrap().modified().unwrap();
    assert_eq!(put(&same), first);
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), written);
    assert_ne!(put(&other), first);
    assert_eq!(names(&data.path().join("plugins")).len(), 2);
}

#[test]
fn the_signature_comes_along_and_a_newer_one_takes_its_place() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    let shelf = Shelf::new(data.path());
    let mut signatures = Vec::new();
    for signer in [Signer::new(), Signer::new()] {
        signer.sign(&plugin.path());
        let shelved = shelf.put(&checked(&plugin.path())).unwrap();
        let signature = fs::read(beside(&shelved)).unwrap();
        assert_eq!(signature, fs::read(beside(&plugin.path())).unwrap());
        assert_eq!(
            shelf.file(checked(&shelved).sha256()).unwrap(),
            Some(shelved)
        );
        signatures.push(signature);
    }
    assert_ne!(signatures[0], signatures[1]);
}

#[test]
fn a_file_on_the_shelf_that_was_changed_is_put_there_again() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    let shelf = Shelf::new(data.path());
    let good = checked(&plugin.path());
    let shelved = shelf.put(&good).unwrap();
    fs::set_permissions(&shelved, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&shelved, "changed").unwrap();
    assert_eq!(shelf.put(&good).unwrap(), shelved);
    assert_eq!(checked(&shelved).sha256(), good.sha256());
    fs::remove_file(&shelved).unwrap();
    assert_eq!(shelf.put(&good).unwrap(), shelved);
    assert_eq!(checked(&shelved).sha256(), good.sha256());
}

#[test]
fn what_no_instance_names_is_collected_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(data.path());
    assert_eq!(
        shelf.collect(&BTreeSet::new()).unwrap(),
        Vec::<String>::new()
    );
    let (kept, gone) = (Changed::hello(), Changed::hello().last_byte_changed());
    let [kept, gone] = [kept, gone].map(|plugin| {
        let checked = checked(&plugin.path());
        (checked.sha256().to_owned(), shelf.put(&checked).unwrap())
    });
    let folder = data.path().join("plugins");
    fs::create_dir(folder.join(".unfinished-x")).unwrap();
    fs::create_dir(folder.join("the-operators-own")).unwrap();
    let keep = BTreeSet::from([kept.0.clone()]);
    assert_eq!(shelf.collect(&keep).unwrap(), std::slice::from_ref(&gone.0));
    assert_eq!(names(&folder), [kept.0.as_str(), "the-operators-own"]);
    assert_eq!(shelf.file(&gone.0).unwrap(), None);
    assert_eq!(shelf.file(&kept.0).unwrap(), Some(kept.1));
    assert_eq!(shelf.file("../../etc").unwrap(), None);
}

#[test]
fn what_runs_goes_on_when_its_file_is_collected() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    let shelf = Shelf::new(data.path());
    let shelved = shelf.put(&checked(&plugin.path())).unwrap();
    let loaded = Loader::new(Trust::Any).load(&shelved).unwrap();
    shelf.collect(&BTreeSet::new()).unwrap();
    assert!(!shelved.exists());
    drop(loaded.open::<crate::lent::Port>());
    assert_eq!(loaded.manifest().name, "coordinator-hello");
}

#[test]
fn a_shelf_that_cannot_be_written_is_told_with_its_cause() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    fs::write(data.path().join("plugins"), "a file").unwrap();
    let error = Shelf::new(data.path())
        .put(&checked(&plugin.path()))
        .unwrap_err();
    assert!(error.to_string().contains("server.data_dir"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

/// The operator looked at the file; what is installed is its copy.
#[test]
fn a_locked_file_is_loaded_from_the_shelf() {
    let (data, plugin) = (tempfile::tempdir().unwrap(), Changed::hello());
    let loader = Loader::new(Trust::Locked(plugin.lock_file()));
    assert!(loader.preflight(&plugin.path()).is_err(), "not locked yet");
    let mut lock = LockFile::read(&plugin.lock_file()).unwrap();
    lock.add(&plugin.path()).unwrap();
    lock.write().unwrap();
    let checked = loader.preflight(&plugin.path()).unwrap();
    let shelved = Shelf::new(data.path()).put(&checked).unwrap();
    loader.load(&shelved).map(drop).unwrap();
}

#[test]
fn a_plugin_is_found_by_its_file_its_folder_or_its_url() {
    let plugin = Changed::hello();
    let folder = plugin.path().parent().unwrap().to_owned();
    fs::write(folder.join("libnone.so"), "no library").unwrap();
    fs::write(folder.join("notes.txt"), "no library").unwrap();
    let url = format!("file://{}", plugin.path().display());
    for source in [
        plugin.path().to_str().unwrap(),
        folder.to_str().unwrap(),
        &url,
    ] {
        assert_eq!(find(source).unwrap(), plugin.path(), "{source}");
    }
    let spaced = folder.join("a b");
    fs::create_dir(&spaced).unwrap();
    fs::copy(plugin.path(), spaced.join("libhello.so")).unwrap();
    let url = format!("file://{}/a%20b/", folder.display());
    assert_eq!(find(&url).unwrap(), spaced.join("libhello.so"));
}

#[test]
fn what_names_no_plugin_or_several_is_told() {
    let plugin = Changed::hello();
    let folder = plugin.path().parent().unwrap().to_owned();
    fs::copy(plugin_file::misbehaving(), folder.join("libother.so")).unwrap();
    let several = find(folder.to_str().unwrap()).unwrap_err();
    assert!(
        several.to_string().contains("libhello.so, libother.so"),
        "{several}"
    );
    let empty = tempfile::tempdir().unwrap();
    let none = find(empty.path().to_str().unwrap()).unwrap_err();
    assert!(matches!(none, SourceError::None(_)), "{none}");
    for url in [
        "https://example.org/x.so",
        "file://elsewhere/x.so",
        "ftp://x",
    ] {
        let error = find(url).unwrap_err();
        assert!(matches!(error, SourceError::Url(_)), "{url}: {error}");
    }
    // Whether a file is there is said where it is read.
    assert_eq!(find("missing.so").unwrap(), Path::new("missing.so"));
}
