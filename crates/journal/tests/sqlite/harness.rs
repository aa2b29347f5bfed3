//! The embedded engine for the suite: a directory, and copies of it for what a crash leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{Durability, Journal, Limits, ManualClock};
use coordinator_message::Timestamp;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query};
use tempfile::TempDir;

use crate::conformance::Harness;

/// A directory and a clock.
pub(crate) struct SqliteHarness {
    /// The last is the current one. The others stay for as long as a journal that crashed may still write there.
    dirs: Mutex<Vec<TempDir>>,
    clock: Arc<ManualClock>,
}

impl SqliteHarness {
    pub(crate) fn new() -> Self {
        Self::with_clock(Arc::new(ManualClock::new(Timestamp::now())))
    }

    fn with_clock(clock: Arc<ManualClock>) -> Self {
        Self {
            dirs: Mutex::new(vec![TempDir::new().unwrap()]),
            clock,
        }
    }

    /// The directory of the journal that is open, or was last.
    pub(crate) fn dir(&self) -> PathBuf {
        let dirs = self.dirs.lock().unwrap();
        dirs.last().unwrap().path().to_owned()
    }

    pub(crate) fn options(&self, limits: Limits) -> SqliteOptions {
        SqliteOptions {
            dir: self.dir(),
            durability: Durability::Strict,
            limits,
            clock: self.clock.clone(),
        }
    }

    /// A connection of our own, as an operator's tool would have one.
    pub(crate) async fn connection(&self) -> SqliteConnection {
        connect(&self.dir()).await
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

    /// The files as they are now are what `kill -9` would leave. Copied while nobody else may write; the log first, for
    /// a checkpoint in between only moves what the copy of the log has as well.
    async fn crash(&self, journal: Box<dyn Journal>) {
        let (old, new) = (self.dir(), TempDir::new().unwrap());
        let mut lock = connect(&old).await;
        query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
        for file in ["journal.running", "journal.db-wal", "journal.db"] {
            fs::copy(old.join(file), new.path().join(file)).unwrap();
        }
        query("ROLLBACK").execute(&mut lock).await.unwrap();
        lock.close().await.unwrap();
        drop(journal);
        self.dirs.lock().unwrap().push(new);
    }

    async fn another(&self) -> Box<dyn Harness> {
        Box::new(Self::with_clock(self.clock.clone()))
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
