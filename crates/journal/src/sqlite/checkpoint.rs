//! Moves what was committed from the write-ahead log into the database file, beside the writer.
//!
//! Done by the writer itself it would hold publishers up for as long as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query_as};
use tracing::debug;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(100);
/// Pages of 8 KiB in the write-ahead log from which on it is begun anew: 16 MiB. The file keeps its size, for writing over
/// what is there costs the disk less than growing.
const MOST_PAGES: i64 = 2048;

/// Runs until aborted. `dirty` says that something was written since the last look.
pub(super) async fn run(options: SqliteConnectOptions, dirty: Arc<AtomicBool>) {
    let options = options
        .busy_timeout(EVERY * 2)
        .pragma("cache_size", "-1024");
    let mut connection: Option<SqliteConnection> = None;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !dirty.swap(false, Ordering::Relaxed) {
            continue;
        }
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => SqliteConnection::connect_with(&options).await,
        };
        let moved = match opened {
            Ok(opened) => checkpoint(connection.insert(opened)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            // The writer meets the same trouble and reports it; a checkpoint can always wait.
            debug!(error = %error, "the write-ahead log was not checkpointed");
            dirty.store(true, Ordering::Relaxed);
            connection = None;
        }
    }
}

async fn checkpoint(connection: &mut SqliteConnection) -> Result<(), sea_orm::sqlx::Error> {
    let (_, pages, _): (i64, i64, i64) = query_as("PRAGMA wal_checkpoint(PASSIVE)")
        .fetch_one(&mut *connection)
        .await?;
    if pages > MOST_PAGES {
        let _: (i64, i64, i64) = query_as("PRAGMA wal_checkpoint(RESTART)")
            .fetch_one(connection)
            .await?;
    }
    Ok(())
}
