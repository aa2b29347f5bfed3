//! Golden layouts: what a released minor looks like in memory. A change here is a new major.

use std::mem::{align_of, offset_of, size_of};

use coordinator_abi::abi_stable::prefix_type::PrefixTypeTrait;
use coordinator_abi::host::HostTable;
use coordinator_abi::log::{Callsite, Field, LogTable, Registered};
use coordinator_abi::opaque::Opaque;
use coordinator_abi::{Code, Outcome, PluginHeader, PluginTable, RawFuture, SharedBytes};

#[test]
fn plain_types_keep_their_size_and_alignment() {
    assert_eq!((size_of::<Code>(), align_of::<Code>()), (4, 4));
    assert_eq!(
        (size_of::<SharedBytes>(), align_of::<SharedBytes>()),
        (32, 8)
    );
    assert_eq!((size_of::<Outcome>(), align_of::<Outcome>()), (72, 8));
    assert_eq!((size_of::<RawFuture>(), align_of::<RawFuture>()), (16, 8));
    assert_eq!((size_of::<Opaque>(), align_of::<Opaque>()), (16, 8));
    assert_eq!(
        (size_of::<Callsite<'_>>(), align_of::<Callsite<'_>>()),
        (80, 8)
    );
    assert_eq!((size_of::<Field<'_>>(), align_of::<Field<'_>>()), (32, 8));
    assert_eq!((size_of::<Registered>(), align_of::<Registered>()), (16, 8));
    assert_eq!(offset_of!(Outcome, meta), 8);
    assert_eq!(offset_of!(Outcome, body), 40);
}

#[test]
fn the_header_keeps_its_first_sixteen_bytes_for_ever() {
    assert_eq!(offset_of!(PluginHeader, magic), 0);
    assert_eq!(offset_of!(PluginHeader, abi_major), 8);
    assert_eq!(offset_of!(PluginHeader, abi_minor), 10);
    assert_eq!(offset_of!(PluginHeader, size), 12);
}

#[test]
fn the_header_keeps_the_rest_within_its_major() {
    assert_eq!(offset_of!(PluginHeader, panic), 16);
    assert_eq!(offset_of!(PluginHeader, name), 24);
    assert_eq!(offset_of!(PluginHeader, version), 40);
    assert_eq!(offset_of!(PluginHeader, sdk), 56);
    assert_eq!(offset_of!(PluginHeader, root), 72);
    assert_eq!(size_of::<PluginHeader>(), 80);
}

#[test]
fn tables_keep_the_order_of_minor_zero() {
    assert_eq!(offset_of!(PluginTable, describe), 0);
    assert_eq!(offset_of!(PluginTable, open), 8);
    assert_eq!(offset_of!(PluginTable, call), 16);
    assert_eq!(offset_of!(PluginTable, refresh_logs), 24);

    assert_eq!(offset_of!(HostTable, publish), 0);
    assert_eq!(offset_of!(HostTable, http), 8);
    assert_eq!(offset_of!(HostTable, sleep), 16);
    assert_eq!(offset_of!(HostTable, now), 24);
    assert_eq!(offset_of!(HostTable, log), 32);

    let log = [
        offset_of!(LogTable, max_level),
        offset_of!(LogTable, register),
        offset_of!(LogTable, enabled),
        offset_of!(LogTable, event),
        offset_of!(LogTable, new_span),
        offset_of!(LogTable, record),
        offset_of!(LogTable, enter),
        offset_of!(LogTable, exit),
        offset_of!(LogTable, clone_span),
        offset_of!(LogTable, close),
    ];
    assert_eq!(log, [0, 8, 16, 24, 32, 40, 48, 56, 64, 72]);
}

#[test]
fn the_layout_that_travels_names_every_field_of_minor_zero() {
    let layout = <PluginTable as PrefixTypeTrait>::PT_LAYOUT;
    let fields: Vec<_> = layout.get_field_names().collect();
    assert_eq!(fields, ["describe", "open", "call", "refresh_logs"]);
}

#[test]
fn the_crate_is_at_one_or_above() {
    // Below 1.0 the layout check refuses every other minor.
    let major: u32 = coordinator_abi::VERSION
        .split('.')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(major, u32::from(coordinator_abi::ABI_MAJOR));
    assert!(major >= 1);
}
