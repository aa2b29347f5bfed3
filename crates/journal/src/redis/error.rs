//! What goes wrong below the engine.

use std::sync::Arc;

use ::redis::RedisError;

use crate::{JournalError, UnknownCursor};

/// A read or a write failed. One script serves many callers, so the cause is shared between them.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreError {
    /// Redis refused, or did not answer.
    #[error(transparent)]
    Server(Arc<RedisError>),
    /// It holds something that this engine never writes.
    #[error("the journal in Redis is damaged: {0}")]
    Damaged(&'static str),
    /// [`crate::Journal::close`] was called.
    #[error("the journal is closed")]
    Closed,
    /// The caller gave a cursor that is not one of ours.
    #[error(transparent)]
    Cursor(UnknownCursor),
    /// Its settings do not give what the journal promises.
    #[error("the Redis server is not fit: {0}")]
    Unfit(String),
}

/// The journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is not one of a Redis server.
    #[error("the Redis address of the journal cannot be read")]
    Address {
        /// Why. It does not quote the address, which may hold a password.
        #[source]
        source: RedisError,
    },
    /// No server answers there.
    #[error("failed to reach the journal's Redis server")]
    Unreachable {
        /// Why.
        #[source]
        source: Arc<RedisError>,
    },
    /// What is there cannot be read.
    #[error("failed to read the journal in Redis")]
    Unreadable {
        /// Why.
        #[source]
        source: JournalError,
    },
    /// It was made for another version, or divided otherwise.
    #[error("the journal in Redis has {what}\n  ({hint})")]
    Otherwise {
        /// What is different, with both values.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Its settings do not give what the journal promises.
    #[error("the journal's Redis server is not fit: {what}\n  ({hint})")]
    Unfit {
        /// What is wrong, with both values.
        what: String,
        /// What to do.
        hint: String,
    },
}

// === impl StoreError ===

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Server(Arc::new(error))
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

// === impl OpenError ===

impl OpenError {
    /// What the first look at the keys found.
    pub(super) fn from_store(error: StoreError) -> Self {
        Self::Unreadable {
            source: error.during("read how it is made"),
        }
    }
}
