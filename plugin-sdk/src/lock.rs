//! One at a time, over all nodes that share a cache.

use std::time::Duration;

use coordinator_abi::ask::KeyMeta;
use coordinator_abi::code::{ask, tell};
use coordinator_abi::{Lent, SharedBytes};

use crate::service::{Failure, ask_key, millis};

/// A lock that is held, until it is dropped or its time is over. Made by [`Context::lock`](crate::Context::lock).
///
/// It belongs to its holder by a token that nobody else has: one whose time is over cannot release the next holder's.
/// Its time can be over while the holder still works. So it spares work, and does not by itself make a thing safe that
/// must not happen twice: there, ask [`Lock::extend`] right before, or let the other side refuse the second.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use std::time::Duration;
///
/// async fn export(ctx: &Context, pages: u32) -> Result<(), CommandError> {
///     let minute = Duration::from_secs(60);
///     let mut lock = ctx.lock("export", minute).await?;
///     for page in 0..pages {
///         tracing::debug!(page, "writing");
///         lock.extend(minute).await?; // an error if its time was over: somebody else may write now
///     }
///     lock.release().await?;
///     Ok(())
/// }
/// ```
#[must_use = "a lock is released when it is dropped"]
pub struct Lock {
    lent: Lent,
    key: String,
    token: Option<String>,
}

/// A lock was not had.
///
/// In a handler `?` asks for another attempt, and in a route it answers 503: somebody else is at it.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # use std::time::Duration;
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Tidies up, if nobody else does.
/// #[schedule("*/5 * * * *")]
/// async fn tidy(&self, ctx: &Context) -> Result<(), HandlerError> {
///     let mut lock = match ctx.lock("tidy", Duration::from_secs(60)).await {
///         Err(error) if error.is_held() => return Ok(()), // the other one is at it
///         lock => lock?,
///     };
///     // … one half, and then the other, if it is still ours:
///     lock.extend(Duration::from_secs(60)).await?;
///     lock.release().await?;
///     Ok(())
/// }
/// # }
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// assert!(host.schedule("tidy").is_ok());
/// host.hold("tidy");
/// assert!(host.schedule("tidy").is_ok());
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("somebody else holds the lock `{0}`")]
    Held(String),
    /// Its time was over before: somebody else may hold it now.
    #[error("the lock `{0}` was held too long and is not ours any more")]
    Lost(String),
    /// It could not be asked for.
    #[error("the lock `{key}` could not be asked for: {reason}")]
    Failed {
        /// The lock.
        key: String,
        /// Why.
        reason: String,
    },
}

impl LockError {
    /// Does somebody else hold it?
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    fn failed(key: &str, failure: &Failure) -> Self {
        Self::Failed {
            key: key.to_owned(),
            reason: failure.reason().to_owned(),
        }
    }
}

impl Lock {
    pub(crate) async fn acquire(lent: Lent, key: &str, ttl: Duration) -> Result<Self, LockError> {
        let meta = KeyMeta {
            key: key.to_owned(),
            ttl_ms: Some(millis(ttl)),
            ..KeyMeta::default()
        };
        let answer = ask_key(&lent, ask::LOCK_ACQUIRE, meta, SharedBytes::new()).await;
        match answer {
            Ok((reply, _)) if reply.number != 0 => Ok(Self {
                lent,
                key: key.to_owned(),
                token: reply.token,
            }),
            Ok(_) => Err(LockError::Held(key.to_owned())),
            Err(failure) => Err(LockError::failed(key, &failure)),
        }
    }

    /// Holds it for `ttl` from now.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`] if its time was over before.
    pub async fn extend(&mut self, ttl: Duration) -> Result<(), LockError> {
        let meta = KeyMeta {
            ttl_ms: Some(millis(ttl)),
            ..self.meta()
        };
        match ask_key(&self.lent, ask::LOCK_EXTEND, meta, SharedBytes::new()).await {
            Ok((reply, _)) if reply.number != 0 => Ok(()),
            Ok(_) => {
                self.token = None;
                Err(LockError::Lost(self.key.clone()))
            }
            Err(failure) => Err(LockError::failed(&self.key, &failure)),
        }
    }

    /// Gives it up, and waits until that is done. Dropping it does not wait.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`] if its time was over before: somebody else may have worked at the same time.
    pub async fn release(mut self) -> Result<(), LockError> {
        let meta = self.meta();
        let answer = ask_key(&self.lent, ask::LOCK_RELEASE, meta, SharedBytes::new()).await;
        self.token = None;
        match answer {
            Ok((reply, _)) if reply.number != 0 => Ok(()),
            Ok(_) => Err(LockError::Lost(self.key.clone())),
            Err(failure) => Err(LockError::failed(&self.key, &failure)),
        }
    }

    fn meta(&self) -> KeyMeta {
        KeyMeta {
            key: self.key.clone(),
            token: self.token.clone(),
            ..KeyMeta::default()
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.token.is_some() {
            // If the host cannot take it now, the lock ends with its time.
            let _ = self.lent.tell(tell::LOCK_RELEASE, &self.meta().encode());
        }
    }
}
