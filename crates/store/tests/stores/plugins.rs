//! Plugins: installed, upgraded, rolled back, taken out.

use coordinator_store::{Change, NewPlugin, PluginFile, RevisionQuery, StoreError};
use serde_json::json;

use crate::database::{Database, entry};

fn file(version: &str) -> PluginFile {
    let digit = version.bytes().next_back().unwrap() as char;
    PluginFile {
        path: format!("/data/plugins/{version}/liblms.so").into(),
        sha256: digit.to_string().repeat(64),
        version: version.to_owned(),
    }
}

fn new(name: &str, version: &str) -> NewPlugin {
    NewPlugin {
        name: name.to_owned(),
        file: file(version),
        enabled: true,
        isolation: "in-process".to_owned(),
        floor: Some(version.to_owned()),
        changes: vec![Change::set(
            format!("plugins.{name}.mount"),
            format!("/{name}"),
        )],
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one life of a plugin, from its installation to its end"
)]
pub(crate) async fn a_plugin_goes_through_its_versions_and_back(database: &Database) {
    let (store, other) = (database.migrated().await, database.open().await);
    let moved = |action: &str| entry(&format!("plugin.{action}"), "lms");
    let installed = store
        .install(new("lms", "1.0.0"), Some(0), moved("install"))
        .await
        .unwrap();
    assert_eq!((installed.revision, installed.previous), (1, None));
    let floor = Some("1.1.1".to_owned());
    let upgraded = store
        .upgrade(
            "lms",
            file("1.1.1"),
            floor.clone(),
            Vec::new(),
            Some(1),
            moved("upgrade"),
        )
        .await
        .unwrap();
    assert_eq!(upgraded.file, file("1.1.1"));
    assert_eq!(upgraded.previous, Some(installed.version_id));
    assert_eq!(upgraded.floor, floor);
    let seen = other.snapshot().await.unwrap();
    assert_eq!((seen.revision, &seen.plugins[..]), (2, &[upgraded][..]));
    let back = store
        .roll_back(
            "lms",
            None,
            Some("1.0.0".to_owned()),
            Some(2),
            moved("rollback"),
        )
        .await
        .unwrap();
    assert_eq!(
        (&back.file, back.floor.as_deref()),
        (&file("1.0.0"), Some("1.0.0"))
    );
    let off = store
        .set_enabled("lms", false, None, None, moved("disable"))
        .await
        .unwrap();
    assert!(!off.enabled && off.floor.as_deref() == Some("1.0.0"));
    let apart = store
        .set_isolation("lms", "worker", None, moved("isolate"))
        .await
        .unwrap();
    assert_eq!(other.plugin("lms").await.unwrap(), Some(apart));
    let versions = other.plugin_versions("lms").await.unwrap();
    let listed: Vec<_> = versions
        .iter()
        .map(|it| (&it.file.version[..], it.current))
        .collect();
    assert_eq!(listed, [("1.0.0", true), ("1.1.1", false)]);
    assert_eq!(versions[0].added_by, "key:ops");
    assert_eq!(store.files_in_use().await.unwrap().len(), 2);
    // Each move is a revision and an entry.
    let query = RevisionQuery {
        limit: 10,
        ..RevisionQuery::default()
    };
    let history = store.revisions(&query).await.unwrap().items;
    let actions: Vec<_> = history.iter().rev().map(|it| it.action.as_str()).collect();
    let expected = ["install", "upgrade", "rollback", "disable", "isolate"];
    assert_eq!(actions, expected.map(|it| format!("plugin.{it}")));
    assert_eq!(history[4].changes[0].key, "plugins.lms.mount");
    assert_eq!(store.verify_audit(None).await.unwrap().rows, 5);
}

pub(crate) async fn a_rollback_skips_what_was_rolled_back_before(database: &Database) {
    let store = database.migrated().await;
    let moved = || entry("plugin.move", "lms");
    store
        .install(new("lms", "1.0.0"), None, moved())
        .await
        .unwrap();
    store
        .upgrade("lms", file("1.0.1"), None, Vec::new(), None, moved())
        .await
        .unwrap();
    store
        .roll_back("lms", None, None, None, moved())
        .await
        .unwrap();
    store
        .upgrade("lms", file("1.0.2"), None, Vec::new(), None, moved())
        .await
        .unwrap();
    // The version before 1.0.2 is not the bad 1.0.1.
    let back = store
        .roll_back("lms", None, None, None, moved())
        .await
        .unwrap();
    assert_eq!(back.file.version, "1.0.0");
    let error = store
        .roll_back("lms", None, None, None, moved())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NoEarlierVersion(_)),
        "{error:?}"
    );
    let versions = store.plugin_versions("lms").await.unwrap();
    let chosen = versions
        .iter()
        .find(|it| it.file.version == "1.0.1")
        .unwrap()
        .id;
    let there = store
        .roll_back("lms", Some(chosen), None, None, moved())
        .await
        .unwrap();
    assert_eq!(there.file.version, "1.0.1");
    let error = store
        .roll_back("lms", Some(999), None, None, moved())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NoSuchVersion { id: 999, .. }),
        "{error:?}"
    );
}

pub(crate) async fn what_cannot_be_installed_leaves_nothing_behind(database: &Database) {
    let store = database.migrated().await;
    let moved = || entry("plugin.install", "lms");
    store
        .install(new("lms", "1.0.0"), None, moved())
        .await
        .unwrap();
    let before = store.snapshot().await.unwrap();
    let error = store
        .install(new("lms", "1.0.1"), None, moved())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Taken(_)), "{error:?}");
    let mut overlapping = new("pay", "1.0.0");
    overlapping
        .changes
        .push(Change::set("plugins.lms.mount.deep", 1));
    let error = store.install(overlapping, None, moved()).await.unwrap_err();
    assert!(matches!(error, StoreError::Overlaps { .. }), "{error:?}");
    let mut without_hash = new("pay", "1.0.0");
    without_hash.file.sha256 = "abc".to_owned();
    let error = store
        .install(without_hash, None, moved())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
    for error in [
        store
            .upgrade("pay", file("1.0.1"), None, Vec::new(), None, moved())
            .await
            .unwrap_err(),
        store
            .roll_back("pay", None, None, None, moved())
            .await
            .unwrap_err(),
        store
            .set_enabled("pay", true, None, None, moved())
            .await
            .unwrap_err(),
        store
            .uninstall("pay", Vec::new(), None, moved())
            .await
            .unwrap_err(),
        store.plugin_versions("pay").await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NoSuchPlugin(_)), "{error:?}");
    }
    assert_eq!(store.snapshot().await.unwrap(), before);
    assert_eq!(store.verify_audit(None).await.unwrap().rows, 1);
}

pub(crate) async fn an_uninstalled_plugin_takes_its_overrides_along(database: &Database) {
    let store = database.migrated().await;
    let moved = || entry("plugin.move", "lms");
    store
        .install(new("lms", "1.0.0"), None, moved())
        .await
        .unwrap();
    store
        .install(new("lms-two", "1.0.0"), None, moved())
        .await
        .unwrap();
    let set = coordinator_store::ChangeSet {
        expected: None,
        changes: vec![
            Change::set("plugins.lms.settings.url", "http://a"),
            Change::set(r#"wiring.handlers."lms.enrol".enabled"#, false),
        ],
        reverts: None,
        entry: moved(),
    };
    store.apply(set).await.unwrap();
    let before = store.revision().await.unwrap();
    let also = vec![Change::remove(r#"wiring.handlers."lms.enrol".enabled"#)];
    let gone = store
        .uninstall("lms", also, Some(before), moved())
        .await
        .unwrap();
    assert_eq!(gone.file.version, "1.0.0");
    let now = store.snapshot().await.unwrap();
    let left: Vec<_> = now.overrides.keys().collect();
    assert_eq!(left, ["plugins.lms-two.mount"]);
    assert_eq!(now.plugins.len(), 1);
    assert_eq!(store.files_in_use().await.unwrap().len(), 1);
    // What was set can be set again, should the plugin come back.
    let back = store
        .changes_back_to(before, Some("plugins.lms"))
        .await
        .unwrap();
    let url = back
        .iter()
        .find(|it| it.key == "plugins.lms.settings.url")
        .unwrap();
    assert_eq!(url.value, Some(json!("http://a")));
    store
        .install(new("lms", "1.0.1"), None, moved())
        .await
        .unwrap();
}
