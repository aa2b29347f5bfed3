//! Opening, migrating, and everything that is in the way.

use std::time::{Duration, Instant};

use coordinator_store::{Change, ChangeSet, OpenError, Store, StoreError, StoreOptions};

use crate::database::{Database, entry};

pub(crate) async fn a_database_is_migrated_once_and_says_so(database: &Database) {
    let store = database.open().await;
    let all: Vec<_> = store.migrations().await.unwrap();
    assert!(!all.is_empty() && all.iter().all(|migration| !migration.applied));
    let names: Vec<_> = all.into_iter().map(|migration| migration.name).collect();
    assert_eq!(store.migrate().await.unwrap(), names);
    assert!(store.migrate().await.unwrap().is_empty());
    assert!(
        store
            .migrations()
            .await
            .unwrap()
            .iter()
            .all(|it| it.applied)
    );
    store.probe().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 0);
}

pub(crate) async fn hosts_that_start_together_migrate_once(database: &Database) {
    let mut hosts = Vec::new();
    for _ in 0..6 {
        hosts.push(database.open().await);
    }
    let starting = hosts
        .iter()
        .cloned()
        .map(|host| tokio::spawn(async move { host.migrate().await }));
    let mut applied = Vec::new();
    for host in starting.collect::<Vec<_>>() {
        applied.extend(host.await.unwrap().unwrap());
    }
    let known = hosts[0].migrations().await.unwrap();
    assert!(known.iter().all(|migration| migration.applied));
    let known: Vec<_> = known.into_iter().map(|migration| migration.name).collect();
    assert_eq!(applied, known, "each was applied by one host");
    for host in hosts {
        host.probe().await.unwrap();
    }
}

pub(crate) async fn a_database_without_tables_says_what_to_do(database: &Database) {
    let store = database.open().await;
    let error = store.probe().await.unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated(_)), "{error:?}");
    assert!(error.to_string().contains("coordinator migrate"), "{error}");
    assert!(store.snapshot().await.is_err());
}

pub(crate) async fn a_database_of_a_later_version_is_left_alone(database: &Database) {
    let store = database.migrated().await;
    database
        .by_hand(
            "INSERT INTO coordinator_migrations (version, applied_at) VALUES ('m9999_later', 0)",
        )
        .await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer(_)), "{error:?}");
    assert!(error.to_string().contains("m9999_later"), "{error}");
    assert!(store.migrations().await.is_err());
}

pub(crate) async fn who_only_looks_sees_what_is_in_force_and_makes_nothing(database: &Database) {
    let look = async || Store::open_to_read(&database.options()).await.unwrap();
    let is_file = matches!(database, Database::Sqlite(_));
    match look().await {
        // A server's database is there; its tables are not.
        Some(store) => assert!(
            store
                .migrations()
                .await
                .unwrap()
                .iter()
                .all(|it| !it.applied)
        ),
        None => assert!(is_file),
    }
    assert_eq!(look().await.is_none(), is_file, "looking made no file");

    let store = database.migrated().await;
    let set = ChangeSet {
        expected: None,
        changes: vec![Change::set("plugins.lms.settings.mode", "audit")],
        reverts: None,
        entry: entry("settings.set", "lms"),
    };
    store.apply(set).await.unwrap();
    let now = store.snapshot().await.unwrap();
    let looking = look().await.expect("it is there");
    assert_eq!(looking.snapshot().await.unwrap(), now, "beside a host");
    if is_file {
        let written = looking.record(entry("message.replay", "m1")).await;
        assert!(written.is_err(), "the file is open for reading only");
    }
    store.close().await;
    looking.close().await;
    let alone = look().await.expect("it is there");
    assert_eq!(alone.snapshot().await.unwrap(), now, "without a host");
    alone.close().await;
    // Nothing is in the way of the next host.
    let next = database.migrated().await;
    next.record(entry("message.replay", "m1")).await.unwrap();
}

fn options(url: &str) -> StoreOptions {
    StoreOptions {
        url: url.to_owned(),
        max_connections: 2,
        timeout: Duration::from_secs(2),
    }
}

#[tokio::test]
async fn a_url_that_names_no_database_of_ours_is_refused_without_repeating_it() {
    for url in [
        "store.db",
        "sqlite://",
        "sqlite://store.db?mode=memory",
        "postgres://shop:hunter2@127.0.0.1/shop",
        "mysql://shop:hunter2@127.0.0.1",
        "mysql://shop:hunter2@127.0.0.1:port/shop",
    ] {
        let error = Store::open(&options(url)).await.unwrap_err();
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error:?}");
        assert!(error.is_configuration());
        let told = format!("{error} {error:?}");
        assert!(told.contains("database.url"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_told_in_time() {
    // It takes connections and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = gone.local_addr().unwrap();
    drop(gone);
    for address in [mute.local_addr().unwrap(), closed] {
        let url = format!("mysql://shop:hunter2@{address}/shop");
        let started = Instant::now();
        let error = Store::open(&options(&url)).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(4));
        assert!(!error.is_configuration(), "{error:?}");
        let told = format!("{error} {error:?}");
        assert!(told.contains(&address.port().to_string()), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.db");
    std::fs::write(&file, "x".repeat(8192)).unwrap();
    let error = Store::open(&options(&format!("sqlite://{}", file.display())))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("notes.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x".repeat(8192));
}
