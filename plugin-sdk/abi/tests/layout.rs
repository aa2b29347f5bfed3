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
fn tables_keep_their_order_and_grow_at_their_end() {
    assert_eq!(offset_of!(PluginTable, describe), 0);
    assert_eq!(offset_of!(PluginTable, open), 8);
    assert_eq!(offset_of!(PluginTable, call), 16);
    assert_eq!(offset_of!(PluginTable, refresh_logs), 24);

    assert_eq!(offset_of!(HostTable, publish), 0);
    assert_eq!(offset_of!(HostTable, http), 8);
    assert_eq!(offset_of!(HostTable, sleep), 16);
    assert_eq!(offset_of!(HostTable, now), 24);
    assert_eq!(offset_of!(HostTable, log), 32);

    // Minor one.
    assert_eq!(offset_of!(HostTable, ask), 48);
    assert_eq!(offset_of!(HostTable, tell), 56);

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

/// The entries of the tables that cross, as each minor was released: plugin, host, log. A minor is added, never changed.
const MINORS: [[&[&str]; 3]; 2] = [
    [
        &["describe", "open", "call", "refresh_logs"],
        &["publish", "http", "sleep", "now", "log"],
        &LOG,
    ],
    [
        &["describe", "open", "call", "refresh_logs"],
        &["publish", "http", "sleep", "now", "log", "ask", "tell"],
        &LOG,
    ],
];
const LOG: [&str; 10] = [
    "max_level",
    "register",
    "enabled",
    "event",
    "new_span",
    "record",
    "enter",
    "exit",
    "clone_span",
    "close",
];

/// In one line: of two minors, one has all tables at least as long. Had each a longer table than the other, the layouts
/// would fit in neither direction.
#[test]
fn each_minor_begins_with_the_one_before() {
    for pair in MINORS.windows(2) {
        for (before, after) in pair[0].iter().zip(&pair[1]) {
            assert!(after.starts_with(before), "{before:?} and then {after:?}");
        }
        assert_ne!(pair[0], pair[1], "a minor appends something");
    }
    assert_eq!(MINORS.len(), usize::from(coordinator_abi::ABI_MINOR) + 1);
}

#[test]
fn the_layouts_that_travel_are_those_of_the_newest_minor() {
    let layouts = [
        <PluginTable as PrefixTypeTrait>::PT_LAYOUT,
        <HostTable as PrefixTypeTrait>::PT_LAYOUT,
        <LogTable as PrefixTypeTrait>::PT_LAYOUT,
    ];
    let newest = MINORS.last().expect("there is one");
    for (layout, names) in layouts.into_iter().zip(newest) {
        let fields: Vec<_> = layout.get_field_names().collect();
        assert_eq!(&fields[..], *names);
    }
}

#[test]
fn the_text_and_the_crate_name_the_same_abi() {
    let numbers = format!(
        "{}.{}",
        coordinator_abi::ABI_MAJOR,
        coordinator_abi::ABI_MINOR
    );
    assert_eq!(coordinator_abi::ABI, numbers);
    assert_eq!(coordinator_abi::VERSION, format!("{numbers}.0"));
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
