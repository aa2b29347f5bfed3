//! What goes wrong below the engine.

use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::sqlx;

use super::schema::SchemaError;
use crate::{JournalError, UnknownCursor};

/// A read or a write failed. One write serves many callers, so the cause is shared between them.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreError {
    /// The database refused.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// It holds something that this engine never writes.
    #[error("the database is damaged: {0}")]
    Damaged(&'static str),
    /// [`crate::Journal::close`] was called.
    #[error("the journal is closed")]
    Closed,
    /// An import would forget what handlers were handed out.
    #[error("a handler is open\n  (records are imported into a journal that nothing runs on)")]
    InUse,
    /// The caller gave a cursor that is not one of ours.
    #[error(transparent)]
    Cursor(UnknownCursor),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl StoreError {
    /// As the error of an operation, `action` completing "failed to …".
    pub(super) fn during(self, action: &'static str) -> JournalError {
        let source: Box<dyn std::error::Error + Send + Sync> = match self {
            Self::Cursor(unknown) => Box::new(unknown),
            other => Box::new(other),
        };
        JournalError { action, source }
    }
}

/// The journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open. The host exits with 78.
    #[error("the data directory `{}` is in use by process {pid}", dir.display())]
    Locked {
        /// The process; 0 if it left no number.
        pid: u32,
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be used.
    #[error("failed to lock the data directory `{}`", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file that says what runs cannot be read or written.
    #[error("failed to open `{}`\n  (the host reads and writes it; it may be deleted: it says what ran, and holds no message)", file.display())]
    Running {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was written by a later version of this program.
    #[error(
        "the journal `{}` has schema version {found}, this program knows up to {known}\n  (run the version that wrote it, or a later one)",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The operating system gave no thread to write on.
    #[error("failed to start the thread that writes the journal")]
    Thread(#[source] std::io::Error),
    /// The database file cannot be opened or read.
    #[error("failed to open the journal `{}`", file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// The database at `file` failed.
    pub(super) fn database(file: &std::path::Path, source: impl Into<StoreError>) -> Self {
        Self::Database {
            file: file.to_owned(),
            source: Box::new(source.into()),
        }
    }

    /// Its schema could not be brought up to date.
    pub(super) fn schema(file: &std::path::Path, error: SchemaError) -> Self {
        match error {
            SchemaError::Newer { found, known } => Self::Newer {
                file: file.to_owned(),
                found,
                known,
            },
            SchemaError::Database(source) => Self::database(file, source),
        }
    }
}
