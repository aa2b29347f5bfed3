//! Moves what was committed from the write-ahead log into the database file, beside the writer.
//!
//! Done by the writer itself it would hold publishers up for as long as it takes. Only the rest of a log that has become
//! long is left to the writer: it moves it between two writes, so that the second finds all of it moved and begins it anew.
//! From beside, SQLite would make the two wait for each other, and those who wait sleep for milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Error, SqliteConnection, query_as};
use tracing::debug;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(100);
/// Pages of 8 KiB in the write-ahead log from which on it is begun anew: 16 MiB. The file keeps its size, for writing over
/// what is there costs the disk less than growing.
const LONG: i64 = 2048;
/// So many, and everybody waits until it is begun anew: there was a reader whenever the writer tried.
const TOO_LONG: i64 = 4 * LONG;

/// What the writer and the checkpointer know of the write-ahead log.
#[derive(Debug)]
pub(super) struct Log {
    /// Something was written since the checkpointer looked.
    dirty: AtomicBool,
    /// The rest is to be moved before the next write.
    long: AtomicBool,
}

impl Log {
    /// As it is after a start: an earlier process may have left something.
    pub(super) fn new() -> Self {
        Self {
            dirty: AtomicBool::new(true),
            long: AtomicBool::new(false),
        }
    }

    /// Before every write.
    pub(super) async fn prepare(&self, connection: &mut SqliteConnection) {
        self.dirty.store(true, Ordering::Relaxed);
        if self.long.swap(false, Ordering::Relaxed)
            && let Err(error) = checkpoint(connection, "PASSIVE").await
        {
            debug!(error = %error, "the rest of the write-ahead log was not checkpointed");
        }
    }

    async fn look(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let pages = checkpoint(connection, "PASSIVE").await?;
        if pages > TOO_LONG {
            checkpoint(connection, "RESTART").await?;
        } else if pages > LONG {
            self.long.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Runs until aborted.
pub(super) async fn run(options: SqliteConnectOptions, log: Arc<Log>) {
    let options = options
        .busy_timeout(EVERY * 2)
        .pragma("cache_size", "-1024");
    let mut connection: Option<SqliteConnection> = None;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !log.dirty.swap(false, Ordering::Relaxed) {
            continue;
        }
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => SqliteConnection::connect_with(&options).await,
        };
        let moved = match opened {
            Ok(opened) => log.look(connection.insert(opened)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            // The writer meets the same trouble and reports it; a checkpoint can always wait.
            debug!(error = %error, "the write-ahead log was not checkpointed");
            log.dirty.store(true, Ordering::Relaxed);
            connection = None;
        }
    }
}

/// Moves what it can, and answers how many pages the log has.
async fn checkpoint(connection: &mut SqliteConnection, mode: &str) -> Result<i64, Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let (_, pages, _): (i64, i64, i64) = query_as(AssertSqlSafe(sql)).fetch_one(connection).await?;
    Ok(pages)
}
