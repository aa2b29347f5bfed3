//! A server that is away, hangs, and comes back.

use std::time::{Duration, Instant};

use coordinator_store::{Change, ChangeSet, Store, StoreOptions};

use crate::database::{Database, entry};
use crate::server::Server;

/// For a server that starts, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

fn change(value: u32) -> ChangeSet {
    ChangeSet {
        expected: None,
        changes: vec![Change::set("flags.a", value)],
        reverts: None,
        entry: entry("flag.set", "a"),
    }
}

/// Whatever it is asked, it fails in time.
async fn assert_away(store: &Store) {
    let began = Instant::now();
    for error in [
        store.probe().await.unwrap_err(),
        store.snapshot().await.unwrap_err(),
        store.apply(change(9)).await.unwrap_err(),
        store
            .record(entry("message.replay", "m"))
            .await
            .unwrap_err(),
        store.verify_audit(None).await.unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error:?}");
    }
    // Five calls of a second, on a machine that has other things to do as well.
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
}

async fn back(store: &Store) {
    let began = Instant::now();
    while let Err(error) = store.probe().await {
        assert!(
            began.elapsed() < PATIENCE,
            "it does not come back: {error:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_or_hangs_fails_in_time_and_nothing_answered_is_lost() {
    let server = Server::start();
    let database = Database::on(server.url()).await;
    let store = Store::open(&StoreOptions {
        timeout: Duration::from_secs(1),
        ..database.options()
    })
    .await
    .unwrap();
    store.migrate().await.unwrap();
    store.apply(change(1)).await.unwrap();

    server.kill();
    assert_away(&store).await;
    server.restart();
    back(&store).await;
    let now = store.snapshot().await.unwrap();
    assert_eq!(
        (now.revision, &now.overrides["flags.a"].value),
        (1, &1.into())
    );

    store.apply(change(2)).await.unwrap();
    server.freeze();
    assert_away(&store).await;
    server.thaw();
    back(&store).await;
    // What had no answer may have been made: as a whole, and once.
    let now = store.snapshot().await.unwrap();
    assert!((2..=3).contains(&now.revision), "{now:?}");
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!(report.broken, None);
    let made = store.apply(change(4)).await.unwrap().unwrap();
    assert_eq!(made.number, store.revision().await.unwrap());
}
