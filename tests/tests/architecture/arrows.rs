//! A room uses only rooms below it; host and SDK meet only in `abi`, over `message`.

use crate::metadata::{built_from, ours, room};

/// The rooms, by level: one may use those of lower levels only. The same table stands in ARCHITECTURE.md.
const LEVELS: [&[&str]; 7] = [
    &["message", "config", "macros"],
    &["abi", "telemetry"],
    &["sdk", "store", "cache", "journal", "egress", "webhooks"],
    &["loader", "wiring"],
    &["context"],
    &["dispatch", "gateway"],
    &["host"],
];

/// What authors' code is linked with.
const PLUGIN_SIDE: [&str; 4] = ["message", "macros", "abi", "sdk"];
/// What both sides are linked with.
const BOTH_SIDES: [&str; 2] = ["message", "abi"];
/// Outside the house: what plays its world, tests it, measures it and builds it.
pub(crate) const OUTSIDE: [&str; 4] = ["sandbox", "tests", "bench", "xtask"];

fn level(room: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&room))
}

/// Every arrow between two packages of this workspace, as the names of their rooms.
fn arrows() -> Vec<(&'static str, &'static str)> {
    let mut arrows = Vec::new();
    for package in ours() {
        for dependency in built_from(package) {
            if dependency.path.is_some() {
                arrows.push((room(&package.name), room(&dependency.name)));
            }
        }
    }
    assert!(arrows.contains(&("host", "gateway")), "arrows are found");
    arrows
}

/// Not a room: a plugin, which knows the SDK and plain contract crates only.
fn is_plugin(name: &str) -> bool {
    level(name).is_none() && !OUTSIDE.contains(&name)
}

#[test]
fn every_package_is_a_room_or_a_plugin_or_outside() {
    for package in ours() {
        let folder = package.manifest_path.parent().unwrap();
        let in_plugins = ["plugins", "examples", "fixtures"]
            .iter()
            .any(|parent| folder.parent().unwrap().ends_with(parent));
        let name = room(&package.name);
        assert!(
            !is_plugin(name) || in_plugins,
            "`{name}` has no level: give it one in design and here"
        );
    }
}

#[test]
fn arrows_between_rooms_point_down() {
    for (from, to) in arrows() {
        if let (Some(above), Some(below)) = (level(from), level(to)) {
            assert!(
                above > below,
                "`{from}` (level {above}) uses `{to}` (level {below})"
            );
        }
    }
}

#[test]
fn no_room_uses_a_plugin_or_what_is_outside() {
    for (from, to) in arrows() {
        assert!(
            level(from).is_none() || level(to).is_some(),
            "`{from}` is a room and uses `{to}`, which is none"
        );
    }
}

#[test]
fn host_and_sdk_meet_only_in_abi_over_message() {
    for (from, to) in arrows() {
        let (plugin_side, meets) = (PLUGIN_SIDE.contains(&from), BOTH_SIDES.contains(&to));
        if plugin_side {
            let own = PLUGIN_SIDE.contains(&to);
            assert!(own, "`{from}` of the SDK uses the host's `{to}`");
        } else if level(from).is_some() {
            let foreign = PLUGIN_SIDE.contains(&to) && !meets;
            assert!(!foreign, "`{from}` of the host uses the SDK's `{to}`");
        }
    }
}

#[test]
fn a_plugin_knows_the_sdk_and_contracts_only() {
    for (from, to) in arrows() {
        if is_plugin(from) {
            assert!(
                ["sdk", "messages"].contains(&to),
                "the plugin `{from}` uses `{to}`"
            );
        }
    }
}
