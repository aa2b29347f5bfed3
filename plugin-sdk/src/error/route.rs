//! What goes wrong in a route, and what its caller reads.

use std::error::Error;
use std::time::Duration;

use coordinator_abi::call::RouteFailure;

use super::{DecodeError, causes, chain};
use crate::cache::CacheError;
use crate::http::HttpError;
use crate::lock::LockError;
use crate::publish::PublishError;
use crate::run::RunError;

/// Why a route refused or failed, and so what the caller reads. Made by `?` of any error: a body that does not
/// decode is 400, a journal that is full or away and a system that the host does not call for now are 503 with
/// `Retry-After`, anything unknown is 500 with nothing but its trace id.
///
/// ```
/// use coordinator_sdk::RouteError;
///
/// use std::time::Duration;
///
/// fn order(number: &str) -> Result<u32, RouteError> {
///     match number.parse() {
///         Ok(7) => Err(RouteError::new(404, "no-such-order", "order 7 is not known here")),
///         Ok(8) => Err(RouteError::new(503, "busy", "order 8 is being written").after(Duration::from_secs(2))),
///         Ok(number) => Ok(number),
///         Err(_) => Err(RouteError::bad_request("an order has a number")),
///     }
/// }
/// assert_eq!(order("7").unwrap_err().status(), 404);
/// assert_eq!(order("seven").unwrap_err().status(), 400);
/// ```
#[derive(Debug)]
pub struct RouteError {
    status: u16,
    code: String,
    detail: String,
    after: Option<Duration>,
    chain: Vec<String>,
}

impl RouteError {
    /// A refusal that the caller reads: status, a stable code, and a sentence.
    pub fn new(status: u16, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            after: None,
            chain: Vec::new(),
        }
    }

    /// 400 with a sentence.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", detail)
    }

    /// The status that the caller gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The caller may try again, not before `after`.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// For the log.
    pub(crate) fn because(self, chain: Vec<String>) -> Self {
        Self { chain, ..self }
    }

    pub(crate) fn into_meta(self) -> RouteFailure {
        RouteFailure {
            status: self.status,
            code: self.code,
            detail: self.detail,
            after_ms: self
                .after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            chain: self.chain,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for RouteError {
    fn from(error: E) -> Self {
        let chain = chain(&error);
        let known = causes(&error).find_map(|cause| known(cause, &chain));
        let error = known.unwrap_or_else(|| Self::new(500, "internal", ""));
        error.because(chain)
    }
}

/// What the caller reads for an error that the SDK knows.
fn known(cause: &(dyn Error + 'static), chain: &[String]) -> Option<RouteError> {
    if let Some(publish) = cause.downcast_ref::<PublishError>() {
        return Some(RouteError {
            after: publish.retry_after(),
            ..publish.as_route()
        });
    }
    if let Some(http) = cause.downcast_ref::<HttpError>() {
        let detail = "another system that this needs does not answer: try again later";
        let turned_away = || RouteError {
            after: http.retry_after(),
            ..RouteError::new(503, "upstream-unavailable", detail)
        };
        return http.is_breaker_open().then(turned_away);
    }
    if let Some(run) = cause.downcast_ref::<RunError>() {
        let RouteFailure {
            status,
            code,
            detail,
            ..
        } = run.failure().clone();
        return Some(RouteError {
            after: run.retry_after(),
            ..RouteError::new(status, code, detail)
        });
    }
    if let Some(cache) = cause.downcast_ref::<CacheError>() {
        let detail = "a service that this needs is away: try again later";
        let away = || RouteError {
            after: cache.retry_after(),
            ..RouteError::new(503, "cache-unavailable", detail)
        };
        return cache.is_temporary().then(away);
    }
    if cause
        .downcast_ref::<LockError>()
        .is_some_and(LockError::is_held)
    {
        let detail = "somebody else is at it: try again later";
        return Some(RouteError::new(503, "locked", detail));
    }
    if cause.is::<DecodeError>() || cause.is::<serde_json::Error>() {
        return Some(RouteError::new(400, "malformed-body", chain.join(": ")));
    }
    None
}
