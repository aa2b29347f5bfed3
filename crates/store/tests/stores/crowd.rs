//! Many hosts on one database.

use std::collections::BTreeMap;
use std::time::Duration;

use coordinator_store::{Change, ChangeSet, RevisionQuery, Store, StoreError};
use serde_json::Value;

use crate::database::{Database, entry};

const HOSTS: usize = 8;
const CHANGES: usize = 50;

async fn hosts(database: &Database) -> Vec<Store> {
    let mut hosts = vec![database.migrated().await];
    while hosts.len() < HOSTS {
        hosts.push(database.open().await);
    }
    hosts
}

/// Reads a number and writes the next, as an operator would: again, if somebody was faster.
async fn count(store: &Store) {
    loop {
        let now = store.snapshot().await.unwrap();
        let found = now.overrides.get("flags.count");
        let number = found.and_then(|it| it.value.as_u64()).unwrap_or(0);
        let outcome = store
            .apply(ChangeSet {
                expected: Some(now.revision),
                changes: vec![Change::set("flags.count", number + 1)],
                reverts: None,
                entry: entry("flag.set", "count"),
            })
            .await;
        match outcome {
            Ok(revision) => return assert!(revision.is_some()),
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn eight_hosts_count_together_and_no_count_is_lost(database: &Database) {
    let hosts = hosts(database).await;
    let counting = hosts.iter().cloned().map(|host| {
        tokio::spawn(async move {
            for _ in 0..CHANGES {
                count(&host).await;
            }
        })
    });
    for host in counting.collect::<Vec<_>>() {
        host.await.unwrap();
    }
    let now = hosts[0].snapshot().await.unwrap();
    let all = (HOSTS * CHANGES) as u64;
    assert_eq!(now.overrides["flags.count"].value, Value::from(all));
    assert_eq!(
        now.revision, all,
        "every change is one revision, and no number is left out"
    );
    let report = hosts[1].verify_audit(None).await.unwrap();
    assert_eq!((report.rows, report.broken), (all, None));
}

pub(crate) async fn eight_hosts_write_one_log_that_does_not_fork(database: &Database) {
    let hosts = hosts(database).await;
    let writing = hosts.iter().cloned().enumerate().map(|(number, host)| {
        tokio::spawn(async move {
            for turn in 0..CHANGES {
                let what = entry("message.replay", &format!("{number}.{turn}"));
                host.record(what).await.unwrap();
            }
        })
    });
    for host in writing.collect::<Vec<_>>() {
        host.await.unwrap();
    }
    let report = hosts[0].verify_audit(None).await.unwrap();
    assert_eq!(
        (report.rows, report.broken),
        ((HOSTS * CHANGES) as u64, None)
    );
}

/// Whatever is true after every commit, and would not be after half of one.
async fn assert_whole(store: &Store) -> u64 {
    let now = store.snapshot().await.unwrap();
    let mut query = RevisionQuery {
        limit: 500,
        ..RevisionQuery::default()
    };
    let mut history = Vec::new();
    loop {
        let page = store.revisions(&query).await.unwrap();
        history.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(history.len() as u64, now.revision);
    let mut replayed = BTreeMap::new();
    for change in history
        .into_iter()
        .rev()
        .flat_map(|revision| revision.changes)
    {
        match change.after {
            Some(value) => replayed.insert(change.key, value),
            None => replayed.remove(&change.key),
        };
    }
    let values = now.overrides.into_iter().map(|(key, it)| (key, it.value));
    assert_eq!(values.collect::<BTreeMap<_, _>>(), replayed);
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.rows, report.broken), (now.revision, None));
    now.revision
}

pub(crate) async fn what_was_broken_off_is_there_as_a_whole_or_not_at_all(database: &Database) {
    let (store, watcher) = (database.migrated().await, database.open().await);
    let mut made = 0;
    for step in 0..60_u64 {
        let changes = (0..8).map(|key| Change::set(format!("flags.k{key}"), step));
        let applying = store.apply(ChangeSet {
            expected: None,
            changes: changes.collect(),
            reverts: None,
            entry: entry("flag.set", "many"),
        });
        // Given up at some point between its beginning and its end: what its caller does when a client goes away.
        let patience = Duration::from_micros(step * 150);
        made += u64::from(tokio::time::timeout(patience, applying).await.is_ok());
    }
    // Patience without an end: the store is as usable as before.
    count(&store).await;
    let revision = assert_whole(&watcher).await;
    assert!(
        revision > made,
        "{revision} revisions, of which {made} were answered"
    );
}
