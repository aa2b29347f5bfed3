//! The audit log: chained, found again, never cut short.

use coordinator_message::Timestamp;
use coordinator_store::{AuditQuery, Entry, Store, StoreError};
use serde_json::json;

use crate::database::{Database, entry};

async fn written(database: &Database, rows: usize) -> Store {
    let store = database.migrated().await;
    for number in 0..rows {
        let what = entry("message.replay", &format!("m{number}"));
        store.record(what).await.unwrap();
    }
    store
}

pub(crate) async fn the_log_holds_until_a_row_is_changed(database: &Database) {
    let store = written(database, 7).await;
    let whole = store.verify_audit(None).await.unwrap();
    assert_eq!((whole.rows, &whole.broken), (7, &None));
    let newest = store
        .audit(&AuditQuery {
            limit: 1,
            ..AuditQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(whole.head.as_ref(), Some(&newest.items[0].hash));
    for (sql, undo) in [
        ("actor = 'key:nobody'", "actor = 'key:ops'"),
        ("at = at + 1", "at = at - 1"),
        ("detail = '{ }'", "detail = '{}'"),
        ("reason = ''", "reason = NULL"),
        ("address = NULL", "address = '127.0.0.1'"),
    ] {
        let change = |set: &str| format!("UPDATE audit_log SET {set} WHERE sequence = 4");
        database.by_hand(&change(sql)).await;
        let broken = store.verify_audit(None).await.unwrap();
        assert_eq!(broken.rows, 3, "{sql}");
        let broken = broken.broken.expect(sql);
        assert_eq!((broken.sequence, broken.reason), (4, "the row was changed"));
        database.by_hand(&change(undo)).await;
        assert_eq!(store.verify_audit(None).await.unwrap(), whole);
    }
}

pub(crate) async fn a_row_that_is_gone_is_missed_also_at_the_end(database: &Database) {
    let store = written(database, 5).await;
    database
        .by_hand("DELETE FROM audit_log WHERE sequence = 5")
        .await;
    let report = store.verify_audit(None).await.unwrap();
    let broken = report.broken.expect("the end is missing");
    assert_eq!(
        (broken.sequence, broken.reason),
        (5, "the last rows are missing")
    );
    database
        .by_hand("DELETE FROM audit_log WHERE sequence = 2")
        .await;
    let broken = store.verify_audit(None).await.unwrap().broken.unwrap();
    assert_eq!((broken.sequence, broken.reason), (2, "the row is missing"));
    database.by_hand("DELETE FROM audit_log").await;
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.rows, report.head), (0, None));
    assert_eq!(report.broken.unwrap().sequence, 1);
}

pub(crate) async fn a_log_that_was_rewritten_as_a_whole_differs_from_what_was_kept(
    database: &Database,
) {
    let store = written(database, 4).await;
    let report = store.verify_audit(None).await.unwrap();
    let kept = (report.rows, report.head.unwrap());
    store
        .record(entry("message.replay", "later"))
        .await
        .unwrap();
    let report = store.verify_audit(Some(&kept)).await.unwrap();
    assert_eq!((report.rows, report.broken), (5, None));
    // Somebody empties the log and writes another, as long, with hashes that are right.
    database.by_hand("DELETE FROM audit_log").await;
    database
        .by_hand("UPDATE counters SET value = 0 WHERE name = 'audit'")
        .await;
    for number in 0..3 {
        let what = entry("message.replay", &format!("m{number}"));
        store.record(what).await.unwrap();
    }
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
    let shorter = store
        .verify_audit(Some(&kept))
        .await
        .unwrap()
        .broken
        .unwrap();
    assert_eq!(
        (shorter.sequence, shorter.reason),
        (4, "the log is shorter than it was")
    );
    store
        .record(entry("message.replay", "other"))
        .await
        .unwrap();
    let rewritten = store
        .verify_audit(Some(&kept))
        .await
        .unwrap()
        .broken
        .unwrap();
    assert_eq!(rewritten.sequence, 4);
    assert!(
        rewritten.reason.contains("rewritten"),
        "{}",
        rewritten.reason
    );
}

pub(crate) async fn the_log_is_found_by_who_what_and_when_page_by_page(database: &Database) {
    let store = database.migrated().await;
    let began = Timestamp::now();
    for number in 0..12 {
        let what = Entry {
            actor: format!("key:{}", ["ops", "shop"][number % 2]),
            action: ["plugin.install", "plugin.enable", "plugins.list"][number % 3].to_owned(),
            subject: format!("lms-{}", number % 4),
            detail: json!({"number": number}),
            reason: None,
            address: None,
        };
        store.record(what).await.unwrap();
    }
    let sequences = async |query: AuditQuery| {
        let page = store
            .audit(&AuditQuery {
                limit: 500,
                ..query
            })
            .await
            .unwrap();
        page.items.iter().map(|it| it.sequence).collect::<Vec<_>>()
    };
    let none = AuditQuery::default;
    let ops = AuditQuery {
        actor: Some("key:ops".into()),
        ..none()
    };
    assert_eq!(sequences(ops).await, [11, 9, 7, 5, 3, 1]);
    let plugin = AuditQuery {
        action: Some("plugin".into()),
        ..none()
    };
    assert_eq!(sequences(plugin).await, [11, 10, 8, 7, 5, 4, 2, 1]);
    let subject = AuditQuery {
        subject: Some("lms-0".into()),
        ..none()
    };
    assert_eq!(sequences(subject).await, [9, 5, 1]);
    let before = AuditQuery {
        until: Some(began),
        ..none()
    };
    assert!(sequences(before).await.is_empty());
    let since = AuditQuery {
        since: Some(began),
        ..none()
    };
    assert_eq!(sequences(since).await.len(), 12);
    pages_are_stable(&store).await;
}

/// Twelve entries, five a page, while others are written.
async fn pages_are_stable(store: &Store) {
    let mut query = AuditQuery {
        limit: 5,
        ..AuditQuery::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = store.audit(&query).await.unwrap();
        // What is written meanwhile does not move the pages.
        store.record(entry("message.replay", "m")).await.unwrap();
        pages.push(page.items.iter().map(|it| it.sequence).collect::<Vec<_>>());
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        pages,
        [vec![12, 11, 10, 9, 8], vec![7, 6, 5, 4, 3], vec![2, 1]]
    );
    query.cursor = Some("yesterday".to_owned());
    let error = store.audit(&query).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
}

pub(crate) async fn an_entry_that_is_too_long_is_written_all_the_same(database: &Database) {
    let store = database.migrated().await;
    let long = Entry {
        actor: "ä".repeat(5000),
        action: "a".repeat(5000),
        subject: "🚀".repeat(5000),
        detail: json!({"text": "x".repeat(100_000)}),
        reason: Some("r".repeat(50_000)),
        address: Some("1".repeat(5000)),
    };
    let record = store.record(long).await.unwrap();
    assert_eq!(record.subject.chars().count(), 500);
    assert!(record.subject.ends_with('…'));
    assert_eq!(record.detail["left_out_bytes"], 100_011);
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.rows, report.broken), (1, None));
}
