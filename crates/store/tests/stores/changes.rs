//! Change sets, their history, and the way back.

use std::collections::BTreeMap;

use coordinator_store::{Change, ChangeSet, Override, RevisionQuery, Store, StoreError};
use serde_json::{Value, json};

use crate::database::{Database, entry};

fn set(expected: Option<u64>, changes: Vec<Change>) -> ChangeSet {
    ChangeSet {
        expected,
        changes,
        reverts: None,
        entry: entry("settings.set", "lms"),
    }
}

async fn values(store: &Store) -> BTreeMap<String, Value> {
    let overrides = store.snapshot().await.unwrap().overrides;
    let values = overrides.into_iter().map(|(key, it)| (key, it.value));
    values.collect()
}

pub(crate) async fn a_change_set_is_made_as_a_whole_or_not_at_all(database: &Database) {
    let store = database.migrated().await;
    let url = "plugins.lms.settings.base_url";
    let made = store
        .apply(set(
            Some(0),
            vec![
                Change::set(url, "https://lms.example.org"),
                Change::set(r#"wiring.handlers."lms.enrol".max_attempts"#, 12),
            ],
        ))
        .await
        .unwrap()
        .expect("something changed");
    assert_eq!((made.number, made.changes.len()), (1, 2));
    let now = store.snapshot().await.unwrap();
    assert_eq!(now.revision, 1);
    assert_eq!(
        now.overrides[url],
        Override {
            value: json!("https://lms.example.org"),
            revision: 1
        }
    );
    let refused = [
        // A table and a value within it, whichever comes first.
        vec![
            Change::set("flags.a", true),
            Change::set("plugins.lms.settings", json!({})),
        ],
        vec![
            Change::set("flags.a", true),
            Change::set(format!("{url}.host"), "x"),
        ],
        vec![Change::set("flags.a", true), Change::set("flags.a", false)],
        vec![Change::set("flags.a", true), Change::set("", 1)],
        vec![
            Change::set("flags.a", true),
            Change::set("flags.b", "x".repeat(70_000)),
        ],
    ];
    for changes in refused {
        let error = store.apply(set(None, changes.clone())).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Overlaps { .. } | StoreError::Invalid { .. }
            ),
            "{changes:?}: {error}"
        );
        assert!(!error.is_unavailable());
    }
    assert_eq!(
        store.snapshot().await.unwrap(),
        now,
        "nothing was left of them"
    );
    assert_eq!(store.verify_audit(None).await.unwrap().rows, 1);
    // The value within may take the table's place in one set.
    let moved = vec![Change::remove(url), Change::set(format!("{url}.host"), "x")];
    assert!(store.apply(set(Some(1), moved)).await.unwrap().is_some());
}

pub(crate) async fn a_change_that_was_planned_for_another_revision_is_refused(database: &Database) {
    let (here, there) = (database.migrated().await, database.open().await);
    let first = set(Some(0), vec![Change::set("flags.a", true)]);
    here.apply(first).await.unwrap();
    let late = set(Some(0), vec![Change::set("flags.b", true)]);
    let error = there.apply(late.clone()).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Conflict {
                expected: 0,
                found: 1
            }
        ),
        "{error:?}"
    );
    let error = there
        .set_enabled("lms", true, None, Some(7), entry("plugin.enable", "lms"))
        .await;
    assert!(matches!(error, Err(StoreError::Conflict { .. })));
    let again = ChangeSet {
        expected: Some(1),
        ..late
    };
    assert_eq!(there.apply(again).await.unwrap().unwrap().number, 2);
    assert_eq!(here.revision().await.unwrap(), 2);
}

pub(crate) async fn what_is_so_already_makes_no_revision(database: &Database) {
    let store = database.migrated().await;
    let change = || set(None, vec![Change::set("flags.a", true)]);
    assert!(store.apply(change()).await.unwrap().is_some());
    assert!(store.apply(change()).await.unwrap().is_none());
    let nothing = set(None, vec![Change::remove("flags.never")]);
    assert!(store.apply(nothing).await.unwrap().is_none());
    assert_eq!(store.revision().await.unwrap(), 1);
    assert_eq!(store.verify_audit(None).await.unwrap().rows, 1);
}

pub(crate) async fn every_change_is_in_the_history_with_before_and_after(database: &Database) {
    let store = database.migrated().await;
    for attempts in 1..=5 {
        let mut change = set(
            None,
            vec![Change::set("wiring.handlers.a.max_attempts", attempts)],
        );
        change.entry.reason = Some(format!("try {attempts}"));
        store.apply(change).await.unwrap();
        let flag = set(None, vec![Change::set("flags.a", attempts % 2 == 0)]);
        store.apply(flag).await.unwrap();
    }
    let mut query = RevisionQuery {
        below: Some("wiring".to_owned()),
        cursor: None,
        limit: 2,
    };
    let mut seen = Vec::new();
    loop {
        let page = store.revisions(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    let numbers: Vec<u64> = seen.iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [9, 7, 5, 3, 1]);
    let last = &seen[0];
    assert_eq!(last.reason.as_deref(), Some("try 5"));
    assert_eq!(
        (last.actor.as_str(), last.subject.as_str()),
        ("key:ops", "lms")
    );
    assert_eq!(last.changes[0].before, Some(json!(4)));
    assert_eq!(last.changes[0].after, Some(json!(5)));
    assert_eq!(seen[4].changes[0].before, None);
    query.below = Some("wiring.handlers.a.max".to_owned());
    query.cursor = None;
    assert!(store.revisions(&query).await.unwrap().items.is_empty());
    query.cursor = Some("-3 or 1=1".to_owned());
    let error = store.revisions(&query).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
}

pub(crate) async fn every_earlier_state_can_be_gone_back_to(database: &Database) {
    let store = database.migrated().await;
    let keys = [
        "flags.a",
        "flags.b",
        "wiring.handlers.x.timeout",
        "plugins.lms.enabled",
    ];
    let mut states = vec![BTreeMap::new()];
    // Each key is set, changed and removed at its own pace.
    for step in 0..24_usize {
        let changes = keys.iter().enumerate().filter_map(|(place, key)| {
            match (step + place * 5) % (place + 4) {
                0 => Some(Change::set(*key, step)),
                1 => Some(Change::remove(*key)),
                _ => None,
            }
        });
        let changes: Vec<_> = changes.collect();
        if store.apply(set(None, changes)).await.unwrap().is_some() {
            states.push(values(&store).await);
        }
    }
    assert!(states.len() > 15, "{}", states.len());
    for (number, state) in states.iter().enumerate().rev() {
        let changes = store.changes_back_to(number as u64, None).await.unwrap();
        let mut back = set(None, changes);
        back.reverts = Some(number as u64);
        store.apply(back).await.unwrap();
        assert_eq!(&values(&store).await, state, "revision {number}");
    }
    let query = RevisionQuery {
        limit: 1,
        ..RevisionQuery::default()
    };
    let newest = store.revisions(&query).await.unwrap();
    assert_eq!(newest.items[0].reverts, Some(0));
    // Only a part of it.
    let changes = store.changes_back_to(5, Some("flags")).await.unwrap();
    store.apply(set(None, changes)).await.unwrap();
    let flags = |state: &BTreeMap<String, Value>| {
        let flags = state.iter().filter(|(key, _)| key.starts_with("flags."));
        flags
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    let now = values(&store).await;
    assert_eq!(flags(&now), flags(&states[5]));
    assert_eq!(now.len(), flags(&now).len(), "the rest stayed away");
    let error = store.changes_back_to(1000, None).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NoSuchRevision(1000, _)),
        "{error:?}"
    );
}

pub(crate) async fn keys_and_values_are_kept_letter_by_letter(database: &Database) {
    let store = database.migrated().await;
    let hard = json!({
        "emoji": "🚀 Straße", "quotes": "'; DROP TABLE overrides; --", "null": null,
        "large": 9_007_199_254_740_993_i64, "list": [true, 1.5, ""],
    });
    let changes = vec![
        Change::set("flags.A", 1),
        Change::set("flags.a", 2),
        Change::set("flags.ä", 3),
        Change::set(r#"flags."a.b%_\""#, hard.clone()),
    ];
    store.apply(set(None, changes)).await.unwrap();
    let found = values(&store).await;
    assert_eq!(found.len(), 4);
    assert_eq!(
        (&found["flags.A"], &found["flags.a"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(found[r#"flags."a.b%_\""#], hard);
    store
        .apply(set(None, vec![Change::remove("flags.a")]))
        .await
        .unwrap();
    assert!(values(&store).await.contains_key("flags.A"));
}
