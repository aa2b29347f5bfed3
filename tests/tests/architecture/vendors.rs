//! A vendor's crate stays in the rooms that were made for it, and every version is named once.

use crate::arrows::OUTSIDE;
use crate::metadata::{built_from, ours, room, root};

/// The vendor, and the rooms that may build with it. What is outside the house takes what it likes; `tokio-crate` is the
/// example that shows crates of an author's own choice at work.
const FENCES: [(&str, &[&str]); 21] = [
    ("abi_stable", &["abi"]),
    ("actix-web", &["gateway", "host"]),
    ("askama", &[]),
    ("clap", &["host"]),
    ("croner", &["dispatch"]),
    ("deadpool-redis", &["cache"]),
    ("figment", &["config"]),
    ("inventory", &["sdk"]),
    ("jiff", &["dispatch"]),
    ("libloading", &["loader"]),
    ("metrics", &["telemetry"]),
    ("metrics-exporter-prometheus", &["telemetry"]),
    ("minisign", &["loader"]),
    ("minisign-verify", &["loader"]),
    ("moka", &["cache"]),
    ("object", &["loader"]),
    ("redis", &["journal", "tokio-crate"]),
    ("reqwest", &["egress", "tokio-crate"]),
    ("sea-orm", &["journal", "store"]),
    ("sea-orm-migration", &["store"]),
    ("tracing-subscriber", &["telemetry"]),
];

#[test]
fn vendors_stay_in_their_rooms() {
    let inside = ours().into_iter();
    for package in inside.filter(|package| !OUTSIDE.contains(&room(&package.name))) {
        let name = room(&package.name);
        for dependency in built_from(package) {
            let fence = FENCES.iter().find(|fence| fence.0 == dependency.name);
            if let Some((vendor, allowed)) = fence {
                assert!(
                    allowed.contains(&name),
                    "`{name}` uses `{vendor}`, which is for {allowed:?}"
                );
            }
        }
    }
}

#[test]
fn every_version_stands_once_in_the_root_manifest() {
    for package in ours() {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(kind).and_then(toml::Value::as_table);
            for (dependency, terms) in dependencies.into_iter().flatten() {
                let inherited = terms.get("workspace") == Some(&toml::Value::Boolean(true));
                assert!(
                    inherited,
                    "`{}` names its own `{dependency}`: write `{dependency}.workspace = true`",
                    package.name
                );
            }
        }
    }
}

#[test]
fn every_package_is_held_to_the_lints_of_the_workspace() {
    for package in ours() {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints,
            Some(&toml::Value::Boolean(true)),
            "`{}` has no `[lints] workspace = true`",
            package.name
        );
    }
    assert!(root().join("clippy.toml").is_file());
}
