//! `trust.policy = "locked"`: only the bytes that the operator has looked at.

use coordinator_loader::{LoadErrorKind, Loader, LockError, LockFile, Trust};

use crate::plugin_file::{self, Changed};
use crate::refused::{assert_readable, refused_by};

/// Locks the file, writes the lock, and reads it back as the next start would.
fn locked(plugin: &Changed) -> Loader {
    let mut lock = LockFile::read(&plugin.lock_file()).unwrap();
    lock.add(&plugin.path()).unwrap();
    lock.write().unwrap();
    let read = LockFile::read(&plugin.lock_file()).unwrap();
    assert_eq!(read, lock);
    Loader::new(Trust::Locked(plugin.lock_file()))
}

#[test]
fn a_locked_file_is_loaded() {
    let plugin = Changed::hello();
    let loaded = locked(&plugin).load(&plugin.path()).unwrap();
    assert_eq!(loaded.manifest().name, "coordinator-hello");
}

#[test]
fn one_byte_that_was_changed_after_locking_is_found() {
    let plugin = Changed::hello();
    let loader = locked(&plugin);
    let plugin = plugin.last_byte_changed();
    let error = refused_by(&loader, &plugin.path(), LoadErrorKind::Untrusted);
    assert!(
        error.reason().contains("has changed since it was locked"),
        "{error}"
    );
    assert!(error.hint().contains("coordinator plugin lock"), "{error}");
}

#[test]
fn a_good_plugin_that_was_put_in_a_locked_ones_place_is_refused() {
    let plugin = Changed::hello();
    let loader = locked(&plugin);
    std::fs::copy(plugin_file::misbehaving(), plugin.path()).unwrap();
    refused_by(&loader, &plugin.path(), LoadErrorKind::Untrusted);
}

#[test]
fn a_file_that_was_loaded_and_then_swapped_is_refused_at_the_next_load() {
    let plugin = Changed::hello();
    let loader = locked(&plugin);
    loader.load(&plugin.path()).unwrap();
    let plugin = plugin.last_byte_changed();
    refused_by(&loader, &plugin.path(), LoadErrorKind::Untrusted);
}

#[test]
fn a_file_that_was_never_locked_is_refused() {
    let plugin = Changed::hello();
    let nothing = LockFile::read(&plugin.lock_file()).unwrap();
    assert!(nothing.files().is_empty(), "a missing lock locks nothing");
    let loader = Loader::new(Trust::Locked(plugin.lock_file()));
    let error = refused_by(&loader, &plugin.path(), LoadErrorKind::Untrusted);
    assert!(error.reason().contains("is not in"), "{error}");
    assert!(
        error.hint().contains("coordinator plugin inspect"),
        "{error}"
    );
}

#[test]
fn the_lock_survives_a_move_of_its_folder() {
    let plugin = Changed::hello();
    drop(locked(&plugin));
    let moved = tempfile::tempdir().unwrap();
    let (file, lock) = (
        moved.path().join("libhello.so"),
        moved.path().join("plugins.lock"),
    );
    std::fs::rename(plugin.path(), &file).unwrap();
    std::fs::rename(plugin.lock_file(), &lock).unwrap();
    let loader = Loader::new(Trust::Locked(lock));
    loader.load(&file).map(drop).unwrap();
}

#[test]
fn what_is_no_plugin_is_not_locked() {
    let text = Changed::of("no plugin");
    let mut lock = LockFile::read(&text.lock_file()).unwrap();
    match lock.add(&text.path()) {
        Err(LockError::Plugin(error)) => assert_readable(&error, &text.path()),
        other => panic!("it was locked, or refused otherwise: {other:?}"),
    }
    assert!(lock.files().is_empty());
}

#[test]
fn a_lock_file_that_was_edited_wrongly_is_refused_and_not_taken_for_empty() {
    let plugin = Changed::hello();
    std::fs::write(plugin.lock_file(), "files = 7").unwrap();
    let error = LockFile::read(&plugin.lock_file()).unwrap_err();
    assert!(
        error.to_string().contains("coordinator plugin lock"),
        "{error}"
    );
}
