//! Files that are no library for this machine, or not all of one.

use std::path::PathBuf;

use coordinator_loader::{LoadErrorKind, inspect};
use proptest::prelude::*;

use crate::plugin_file::{self, Changed};
use crate::refused::{assert_readable, refused};

/// Where an ELF header keeps these.
const CLASS: usize = 4;
const KIND: usize = 16;
const MACHINE: usize = 18;

const ELF32: u8 = 1;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

#[test]
fn a_file_that_was_copied_in_part_is_refused_wherever_it_ends() {
    for percent in [10, 20, 30, 40, 50, 60, 70, 80, 90, 99] {
        let error = refused(
            &Changed::hello().cut(percent).path(),
            LoadErrorKind::NotALibrary,
        );
        assert!(
            error.reason().contains("cut short or damaged"),
            "{percent} %: {error}"
        );
    }
}

#[test]
fn a_file_that_ends_within_its_first_header_is_refused() {
    for bytes in [&b"\x7fELF"[..], b"\x7fELF\x02\x01\x01", b"\x7f"] {
        refused(&Changed::of(bytes).path(), LoadErrorKind::NotALibrary);
    }
}

#[test]
fn a_library_for_another_machine_is_refused_by_naming_both() {
    let (other, name) = if cfg!(target_arch = "x86_64") {
        (EM_AARCH64, "aarch64")
    } else {
        (EM_X86_64, "x86_64")
    };
    let changed = Changed::hello().at(MACHINE, &other.to_le_bytes());
    let error = refused(&changed.path(), LoadErrorKind::NotALibrary);
    let here = std::env::consts::ARCH;
    assert_eq!(
        error.reason(),
        format!("the library is for {name}, this host is {here}")
    );
}

#[test]
fn a_library_for_a_32_bit_machine_is_refused() {
    let changed = Changed::hello().at(CLASS, &[ELF32]);
    let error = refused(&changed.path(), LoadErrorKind::NotALibrary);
    assert_eq!(error.reason(), "the library is for a 32-bit machine");
}

#[test]
fn a_program_is_refused_though_its_type_is_a_librarys() {
    let test = std::env::current_exe().unwrap();
    let error = refused(&test, LoadErrorKind::NotALibrary);
    assert_eq!(error.reason(), "the file is a program, not a library");
}

#[test]
fn a_program_of_the_old_kind_is_refused() {
    let changed = Changed::hello().at(KIND, &ET_EXEC.to_le_bytes());
    let error = refused(&changed.path(), LoadErrorKind::NotALibrary);
    assert_eq!(
        error.reason(),
        "the file is a program or an object, not a library"
    );
}

#[test]
fn a_library_that_is_no_plugin_is_refused() {
    let error = refused(&system_library(), LoadErrorKind::NotAPlugin);
    assert!(
        error.reason().contains("it has no `.coordinator` section"),
        "{error}"
    );
}

#[test]
fn a_plugin_that_exports_nothing_is_refused() {
    let changed = Changed::hello().replaced("COORDINATOR_PLUGIN", "COORDINATOR_PIGGIN");
    let error = refused(&changed.path(), LoadErrorKind::NotAPlugin);
    assert!(
        error
            .reason()
            .contains("does not export `COORDINATOR_PLUGIN`"),
        "{error}"
    );
}

#[test]
fn a_plugin_that_needs_a_library_which_is_not_here_is_refused_by_naming_it() {
    let changed = Changed::hello().replaced("libgcc_s.so.1", "libnone_.so.1");
    let error = refused(&changed.path(), LoadErrorKind::Link);
    assert!(error.reason().contains("libnone_.so.1"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Not `load`: what passes the checks would be mapped, and its code may be the part that was damaged.
    #[test]
    fn a_damaged_header_is_read_or_refused_and_never_a_panic(
        offset in 0_usize..1024,
        bytes in proptest::array::uniform4(any::<u8>()),
    ) {
        let changed = Changed::hello().at(offset, &bytes);
        if let Err(error) = inspect(&changed.path()) {
            assert_readable(&error, &changed.path());
        }
    }
}

/// A library that this process itself has mapped, and that is nothing but a library.
fn system_library() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut paths = maps.lines().filter_map(|line| line.split(' ').next_back());
    let path = paths.find(|path| path.contains("/libgcc_s.so"));
    PathBuf::from(path.expect("Rust programs are linked with libgcc_s"))
}

#[test]
fn the_unchanged_file_is_a_plugin() {
    inspect(&plugin_file::hello()).expect("what the other tests change was whole before");
}
