//! The embedded engine keeps what every engine promises, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "conformance/suite.rs"]
mod conformance;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use conformance::Harness;
use coordinator_journal::sqlite::{OpenError, SqliteJournal, SqliteOptions};
use coordinator_journal::{Durability, Journal, Limits, ManualClock};
use coordinator_message::Timestamp;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query, query_scalar};
use tempfile::TempDir;

conformance!(SqliteHarness::new());

/// A directory and a clock.
struct SqliteHarness {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl SqliteHarness {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        Self {
            dir: TempDir::new().unwrap(),
            clock,
        }
    }

    fn options(&self, limits: Limits) -> SqliteOptions {
        let (dir, clock) = (self.dir.path().to_owned(), self.clock.clone());
        SqliteOptions {
            dir,
            durability: Durability::Strict,
            limits,
            clock,
        }
    }

    /// A connection of our own, as an operator's tool would have one.
    async fn connection(&self) -> SqliteConnection {
        connect(self.dir.path()).await
    }
}

async fn connect(dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[async_trait]
impl Harness for SqliteHarness {
    async fn open(&self, limits: Limits) -> Box<dyn Journal> {
        Box::new(SqliteJournal::open(self.options(limits)).await.unwrap())
    }

    fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// Writes fail late: the cursor is the last thing of a commit, a message the first. Both are refused here.
    async fn break_writes(&self) {
        let mut connection = self.connection().await;
        for (name, event) in [
            ("broken_insert", "AFTER INSERT ON message"),
            ("broken_update", "AFTER UPDATE ON handler"),
            ("broken_delete", "AFTER DELETE ON message"),
        ] {
            let sql = format!(
                "CREATE TRIGGER {name} {event} BEGIN SELECT raise(ABORT, 'no space left'); END"
            );
            query(sea_orm::sqlx::AssertSqlSafe(sql))
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    async fn mend_writes(&self) {
        let mut connection = self.connection().await;
        for sql in [
            "DROP TRIGGER broken_insert",
            "DROP TRIGGER broken_update",
            "DROP TRIGGER broken_delete",
        ] {
            query(sql).execute(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_second_open_of_one_directory_is_refused_and_names_the_process() {
    let harness = SqliteHarness::new();
    let first = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap();
    let second = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap_err();
    assert!(
        matches!(&second, OpenError::Locked { pid, .. } if *pid == std::process::id()),
        "{second}"
    );
    first.close().await;
    SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_its_number() {
    let harness = SqliteHarness::new();
    SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = harness.connection().await;
    query("PRAGMA user_version = 99")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let refused = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { found: 99, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_that_somebody_else_locked_refuses_and_goes_on_when_it_is_free() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut other = harness.connection().await;
    query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert!(journal.probe().await.is_err());
    assert!(
        journal
            .publish(vec![conformance::message(conformance::PAID, "1")])
            .await
            .is_err()
    );
    query("ROLLBACK").execute(&mut other).await.unwrap();
    journal.probe().await.unwrap();
    conformance::publish(&*journal, conformance::message(conformance::PAID, "2")).await;
    let stored: i64 = query_scalar("SELECT count(*) FROM message")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_file_is_made_as_its_figures_were_measured() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut other = harness.connection().await;
    let page: i64 = query_scalar("PRAGMA page_size")
        .fetch_one(&mut other)
        .await
        .unwrap();
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!((page, mode.as_str()), (8192, "wal"));
    journal.close().await;
}
