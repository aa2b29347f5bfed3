//! What can go wrong with the store, in the words of its operator.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The cause, in the database's own words. Its error types repeat each other along the chain, so the words are kept
/// and the types are not.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that we can use.
    #[error(
        "the database URL cannot be used: {problem}\n  (see `database.url`: \"sqlite://PATH\" or \"mysql://USER:PASSWORD@HOST:PORT/NAME\")"
    )]
    Url {
        /// What is wrong with it; never the URL, which may hold a password.
        problem: String,
    },
    /// The folder of the file cannot be made.
    #[error("failed to make the folder of the database `{}`\n  (see `database.url`)", file.display())]
    Folder {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database does not answer, or does not let us in.
    #[error(
        "failed to open the database {place}\n  (see `database.url`; the server must be up, and the database and its user made)"
    )]
    Unreachable {
        /// Which, without a password.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
}

impl OpenError {
    /// Whether it is the configuration that must change; otherwise the database may be up later.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Folder { .. })
    }
}

/// The store did not do what it was asked. Nothing was changed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else made a change in the meantime.
    #[error(
        "the change was made for revision {expected}, and revision {found} is in force\n  (look at what changed since, and repeat it)"
    )]
    Conflict {
        /// What the caller had seen.
        expected: u64,
        /// What is in force.
        found: u64,
    },
    /// There is no plugin of this name in the store.
    #[error("no plugin `{0}` is installed\n  (see `coordinator plugin list`)")]
    NoSuchPlugin(String),
    /// The name is taken.
    #[error("a plugin `{0}` is installed already\n  (upgrade it, or choose another name)")]
    Taken(String),
    /// The plugin never had another file.
    #[error("plugin `{0}` has no earlier version\n  (it was never upgraded, or is at its first)")]
    NoEarlierVersion(String),
    /// The plugin never had this file.
    #[error("plugin `{plugin}` has no version with the number {id}")]
    NoSuchVersion {
        /// Its name.
        plugin: String,
        /// What was asked for.
        id: i64,
    },
    /// There is no such revision yet.
    #[error("there is no revision {0}, {1} is the newest")]
    NoSuchRevision(u64, u64),
    /// A value and a value within it cannot both be set.
    #[error("`{key}` and `{within}` cannot both be set\n  (remove one of them in the same change)")]
    Overlaps {
        /// The shorter key.
        key: String,
        /// A key below it.
        within: String,
    },
    /// What was asked cannot be.
    #[error("{what}: {problem}")]
    Invalid {
        /// The part that is meant.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tables are not there, or are of an earlier version.
    #[error("the database is not up to date\n  (run `coordinator migrate`)")]
    NotMigrated(#[source] Cause),
    /// The tables are of a later version of this program.
    #[error(
        "the database was migrated by a later version of this program: it has {0}\n  (run that version, or a later one)"
    )]
    Newer(String),
    /// Another host migrates, and does not come to an end.
    #[error(
        "another host has been migrating the database for {0:?}\n  (try again once it is done)"
    )]
    Migrating(Duration),
    /// The database holds what this program never writes.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// No answer in time. A change may or may not have been made.
    #[error(
        "the database did not answer within {0:?}\n  (a change may have been made: look before you repeat it)"
    )]
    Timeout(Duration),
    /// The database refused, or is away.
    #[error("failed to {action} in the database")]
    Database {
        /// Completes "failed to …".
        action: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// Whether it is the database that fails, and not what was asked of it: it may be up again later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Database { .. } | Self::Timeout(_) | Self::Migrating(_) | Self::NotMigrated(_)
        )
    }
}

/// Names what was being done when the database failed.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, DbErr> {
    fn during(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| {
            let is_missing = is_missing_table(&error);
            let source = cause(&error);
            if is_missing {
                StoreError::NotMigrated(source)
            } else {
                StoreError::Database { action, source }
            }
        })
    }
}

/// What the database said, once.
pub(crate) fn cause(error: &DbErr) -> Cause {
    match runtime(error) {
        Some(RuntimeErr::SqlxError(error)) => sqlx_cause(error),
        Some(RuntimeErr::Internal(text)) => text.clone().into(),
        _ => error.to_string().into(),
    }
}

/// The same, of the driver's own error.
pub(crate) fn sqlx_cause(error: &sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(refused) => refused.message().to_owned().into(),
        other => other.to_string().into(),
    }
}

/// `no such table` of SQLite; error 1146, SQLSTATE 42S02, of MariaDB.
fn is_missing_table(error: &DbErr) -> bool {
    let Some(RuntimeErr::SqlxError(error)) = runtime(error) else {
        return false;
    };
    error.as_database_error().is_some_and(|refused| {
        refused.code().as_deref() == Some("42S02") || refused.message().contains("no such table")
    })
}

fn runtime(error: &DbErr) -> Option<&RuntimeErr> {
    match error {
        DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner) => Some(inner),
        _ => None,
    }
}
