//! What goes wrong in a plugin, and what then becomes of the message or the request.

mod chained;
mod decode;
mod route;

use std::error::Error;
use std::time::Duration;

use crate::cache::CacheError;
use crate::http::{HttpError, StatusError};
use crate::publish::PublishError;
use crate::run::RunError;

pub use chained::StartError;
pub(crate) use chained::chained_error;
pub use decode::DecodeError;
use decode::without_value;
pub use route::RouteError;

/// Why a handler failed, and so what happens to the message next. Made by `?` of any error:
///
/// - 400, 404, 405, 410, 413, 415, 422 of another system, and payloads that do not decode: dead letter.
/// - Everything else, also any error type the SDK does not know: another attempt, not before `Retry-After`.
///
/// It does not implement `Error`, so that one `From` can take all that do. Override with [`Decide`].
///
/// ```
/// use coordinator_sdk::HandlerError;
/// use std::time::Duration;
///
/// fn find(course: &str) -> Result<(), HandlerError> {
///     match course.parse::<u32>()? { // an unknown error type: retried
///         0 => Err(HandlerError::retry("the catalogue is being written").after(Duration::from_secs(30))),
///         _ => Err(HandlerError::dead("`course` is not in the catalogue")),
///     }
/// }
/// assert!(find("x").unwrap_err().is_retry());
/// assert!(find("0").unwrap_err().is_retry());
/// assert!(!find("1").unwrap_err().is_retry());
/// ```
#[derive(Debug)]
pub struct HandlerError {
    retry: bool,
    after: Option<Duration>,
    chain: Vec<String>,
}

impl HandlerError {
    /// To the dead letters at once.
    pub fn dead(message: impl Into<String>) -> Self {
        Self {
            retry: false,
            after: None,
            chain: vec![message.into()],
        }
    }

    /// Another attempt, after the handler's backoff.
    pub fn retry(message: impl Into<String>) -> Self {
        Self {
            retry: true,
            after: None,
            chain: vec![message.into()],
        }
    }

    /// Another attempt, not before `after`.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// Will it be tried again?
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.retry
    }

    pub(crate) fn into_parts(self) -> (bool, Option<Duration>, Vec<String>) {
        (self.retry, self.after, self.chain)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let (retry, after) = decide(&error);
        Self {
            retry,
            after,
            chain: chain(&error),
        }
    }
}

/// Overrides what `?` decides in a handler.
///
/// ```
/// use coordinator_sdk::{Decide, HandlerError};
///
/// fn read(number: &str) -> Result<u32, HandlerError> {
///     number.parse::<u32>().dead()
/// }
/// assert!(!read("x").unwrap_err().is_retry());
///
/// fn decode(text: &str) -> Result<u32, HandlerError> {
///     serde_json::from_str(text).retry() // the other system writes it in two parts
/// }
/// assert!(decode("{").unwrap_err().is_retry());
/// ```
pub trait Decide<T> {
    /// A failure is another attempt.
    ///
    /// # Errors
    ///
    /// The failure, as a retry.
    fn retry(self) -> Result<T, HandlerError>;

    /// A failure is a dead letter.
    ///
    /// # Errors
    ///
    /// The failure, as a dead letter.
    fn dead(self) -> Result<T, HandlerError>;
}

impl<T, E: Into<HandlerError>> Decide<T> for Result<T, E> {
    fn retry(self) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError {
            retry: true,
            ..error.into()
        })
    }

    fn dead(self) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError {
            retry: false,
            after: None,
            ..error.into()
        })
    }
}

/// The first error of the chain that the SDK knows decides.
fn decide(error: &(dyn Error + 'static)) -> (bool, Option<Duration>) {
    for cause in causes(error) {
        if let Some(status) = cause.downcast_ref::<StatusError>() {
            let refused = matches!(status.status(), 400 | 404 | 405 | 410 | 413 | 415 | 422);
            return (!refused, status.retry_after());
        }
        if cause.is::<DecodeError>() || cause.is::<serde_json::Error>() {
            return (false, None);
        }
        if let Some(publish) = cause.downcast_ref::<PublishError>() {
            return (publish.is_temporary(), publish.retry_after());
        }
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return (true, http.retry_after());
        }
        if let Some(run) = cause.downcast_ref::<RunError>() {
            return (run.is_temporary(), run.retry_after());
        }
        if let Some(cache) = cause.downcast_ref::<CacheError>() {
            return (true, cache.retry_after());
        }
    }
    (true, None)
}

pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // Bounded: a chain that loops would never end.
    std::iter::successors(Some(error), |error| (*error).source()).take(16)
}

/// Every message of the chain, outermost first. A JSON error is told without the value that it quotes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    causes(error)
        .map(|cause| match cause.downcast_ref::<serde_json::Error>() {
            Some(json) => without_value(json),
            None => cause.to_string(),
        })
        .collect()
}
