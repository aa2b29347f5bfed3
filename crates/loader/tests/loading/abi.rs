//! Plugins of another ABI, and files whose parts contradict each other.

use coordinator_loader::LoadErrorKind::{Incompatible, Inconsistent};

use crate::plugin_file::{self, Changed};
use crate::refused::refused;

/// Where the exported header keeps these, behind its magic of eight bytes.
const MAJOR: usize = 8;
const SIZE: usize = 12;
const PANIC: usize = 16;

/// What the section says, as JSON.
const ABI: &str = "\"abi\":\"1.1\"";

#[test]
fn an_older_abi_is_refused_with_both_versions_and_the_cure() {
    let changed = Changed::hello().replaced(ABI, "\"abi\":\"0.9\"");
    let error = refused(&changed.path(), Incompatible);
    let sdk = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "failed to load `{}`\n  built with coordinator-sdk {sdk} for plugin ABI 0.9, this host speaks 1.1\n  \
         (rebuild the plugin with `coordinator-sdk = \"{sdk}\"`)",
        changed.path().display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_newer_abi_is_refused() {
    let changed = Changed::hello().replaced(ABI, "\"abi\":\"2.0\"");
    let error = refused(&changed.path(), Incompatible);
    assert!(
        error
            .reason()
            .contains("plugin ABI 2.0, this host speaks 1.1"),
        "{error}"
    );
}

#[test]
fn an_abi_that_is_no_number_is_refused() {
    let changed = Changed::hello().replaced(ABI, "\"abi\":\"one\"");
    refused(&changed.path(), Incompatible);
}

#[test]
fn the_header_is_the_authority_on_the_abi() {
    for (major, shown) in [(0_u16, "plugin ABI 0.1"), (2, "plugin ABI 2.1")] {
        let changed = Changed::hello().in_header(MAJOR, &major.to_le_bytes());
        let error = refused(&changed.path(), Incompatible);
        assert!(error.reason().contains(shown), "{error}");
    }
}

#[test]
fn a_plugin_that_was_built_to_abort_is_refused() {
    let error = refused(plugin_file::aborting(), Incompatible);
    assert!(
        error.reason().contains("built with `panic = \"abort\"`"),
        "{error}"
    );
    assert!(error.hint().contains("panic = \"unwind\""), "{error}");
}

#[test]
fn the_header_is_the_authority_on_panics() {
    for strategy in [2_u32, 0, 77] {
        let changed = Changed::hello().in_header(PANIC, &strategy.to_le_bytes());
        let error = refused(&changed.path(), Incompatible);
        assert!(
            error.reason().contains("built with `panic = \"abort\"`"),
            "{error}"
        );
    }
}

#[test]
fn a_section_that_contradicts_the_header_is_refused_by_naming_both() {
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let other = version.replacen(|c: char| c.is_ascii_digit(), "9", 1);
    let changed = Changed::hello().replaced(&version, &other);
    let error = refused(&changed.path(), Inconsistent);
    let expected = format!(
        "its section and its header disagree on the version: `9{}` and `{}`",
        &env!("CARGO_PKG_VERSION")[1..],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(error.reason(), expected);
}

#[test]
fn a_section_that_names_another_minor_is_refused() {
    let changed = Changed::hello().replaced(ABI, "\"abi\":\"1.7\"");
    let error = refused(&changed.path(), Inconsistent);
    assert!(
        error.reason().contains("disagree on the ABI: `1.7`"),
        "{error}"
    );
}

#[test]
fn a_header_without_its_magic_is_refused() {
    let changed = Changed::hello().in_header(0, b"X");
    let error = refused(&changed.path(), Inconsistent);
    assert!(
        error
            .reason()
            .contains("does not begin with the plugin magic"),
        "{error}"
    );
}

#[test]
fn a_header_that_is_too_short_is_refused() {
    let changed = Changed::hello().in_header(SIZE, &8_u32.to_le_bytes());
    let error = refused(&changed.path(), Inconsistent);
    assert_eq!(error.reason(), "its header is 8 bytes, too short");
}

#[test]
fn a_section_that_is_not_json_or_of_an_unknown_format_is_refused() {
    for (old, new) in [
        ("{\"section\":1,", "[\"section\":1,"),
        ("{\"section\":1,", "{\"section\":9,"),
    ] {
        let changed = Changed::hello().replaced(old, new);
        let error = refused(&changed.path(), Inconsistent);
        assert!(error.reason().contains("malformed"), "{error}");
    }
}

/// The layout report of this one change is more than a hundred lines; the operator sees three.
#[test]
fn tables_that_are_laid_out_otherwise_are_refused_on_few_lines() {
    let changed = Changed::hello().replaced("refresh_logs", "refresh_lugs");
    let error = refused(&changed.path(), Incompatible);
    assert!(error.reason().contains("laid out differently"), "{error}");
    assert!(error.hint().contains("RUST_LOG"), "{error}");
}
