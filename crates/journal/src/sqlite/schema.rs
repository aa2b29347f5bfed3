//! How the database file is opened, and which schema it must have.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};

use crate::Durability;

/// In order; the number of the last one is the version of the schema.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/journal/0001_log.sql"),
    include_str!("../../../../migrations/journal/0002_order.sql"),
    include_str!("../../../../migrations/journal/0003_operate.sql"),
    include_str!("../../../../migrations/journal/0004_time.sql"),
];

/// How long the writer waits for a lock that only an operator's own tool can hold.
const BUSY: Duration = Duration::from_secs(1);
/// Browsing and reading deliveries: a few threads are enough, since all of them read from the page cache.
const READERS: u32 = 4;

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    /// Made by a later version of this program.
    #[error("its schema is version {found}, this program knows up to {known}")]
    Newer {
        /// Of the file.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// For the one connection that writes, and for the checkpointer.
pub(super) fn writing(file: &Path, durability: Durability) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .page_size(8192)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match durability {
            Durability::Strict => SqliteSynchronous::Full,
            Durability::Relaxed => SqliteSynchronous::Normal,
        })
        // Checked at every row otherwise, for references that the writer itself keeps.
        .foreign_keys(false)
        .busy_timeout(BUSY)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", "-16384")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// Opens the pool that only reads.
pub(super) async fn readers(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(BUSY)
        .pragma("cache_size", "-2048")
        .row_buffer_size(512)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

/// Applies what is missing, each migration in its own transaction.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), SchemaError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        set_version(&mut transaction, index + 1).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Writes the version that is there: a write that changes nothing.
pub(super) async fn write_version(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    set_version(connection, MIGRATIONS.len()).await
}

async fn set_version(connection: &mut SqliteConnection, version: usize) -> Result<(), sqlx::Error> {
    let version = format!("PRAGMA user_version = {version}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(version))
        .execute(connection)
        .await?;
    Ok(())
}
