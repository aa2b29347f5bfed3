//! Files that are none, or hold nothing.

use std::path::Path;

use coordinator_loader::LoadErrorKind;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::plugin_file::Changed;
use crate::refused::refused;

#[test]
fn a_missing_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(
        &folder.path().join("libhello.so"),
        LoadErrorKind::Unreadable,
    );
    assert!(
        error.reason().contains("No such file or directory"),
        "{error}"
    );
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(folder.path(), LoadErrorKind::Unreadable);
    assert_eq!(error.reason(), "this is not a file");
}

#[test]
fn a_device_that_never_ends_is_refused() {
    let error = refused(Path::new("/dev/zero"), LoadErrorKind::Unreadable);
    assert_eq!(error.reason(), "this is not a file");
}

/// Somebody who can put a pipe into the folder must not hold up the host.
#[test]
fn a_pipe_that_nobody_writes_into_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libhello.so");
    pipe(&path);
    let error = refused(&path, LoadErrorKind::Unreadable);
    assert_eq!(error.reason(), "this is not a file");
}

pub(crate) fn pipe(path: &Path) {
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn an_empty_file_is_refused() {
    let error = refused(&Changed::of([]).path(), LoadErrorKind::Unreadable);
    assert_eq!(error.reason(), "the file is empty");
}

#[test]
fn a_text_is_refused() {
    let text = Changed::of("a plugin, as far as its name goes\n");
    let error = refused(&text.path(), LoadErrorKind::NotALibrary);
    assert_eq!(error.reason(), "the file is not an ELF library");
}
