//! What goes wrong in a plugin, and what then becomes of the message or the request.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::http::{HttpError, StatusError};
use crate::publish::PublishError;

/// Why a handler failed, and so what happens to the message next. Made by `?` of any error:
///
/// - 400, 404, 405, 410, 413, 415, 422 of another system, and payloads that do not decode: dead letter.
/// - Everything else, also any error type the SDK does not know: another attempt, not before `Retry-After`.
///
/// It does not implement `Error`, so that one `From` can take all that do. Override with [`Decide`].
///
/// ```
/// use coordinator_sdk::HandlerError;
///
/// fn find(course: &str) -> Result<(), HandlerError> {
///     let _number: u32 = course.parse()?; // an unknown error type: retried
///     Err(HandlerError::dead("`course` is not in the catalogue"))
/// }
/// assert!(find("x").unwrap_err().is_retry());
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
    }
    (true, None)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
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

/// JSON that does not fit its type. Names the field, never a value: payloads hold personal data.
///
/// ```
/// use coordinator_sdk::testing::Host;
/// # use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub name: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// #     /// Takes it.
/// #     #[handler] async fn take(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> { Ok(()) }
/// # }
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// let error = host.deliver_json("org.example.thing.happened.v1", r#"{"name": 5}"#).unwrap_err();
/// assert!(!error.is_retry());
/// assert!(error.chain()[0].contains("expected a string"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("`{what}` does not decode: {reason}")]
pub struct DecodeError {
    what: String,
    reason: String,
}

impl DecodeError {
    pub(crate) fn new(what: impl Into<String>, error: &serde_json::Error) -> Self {
        Self {
            what: what.into(),
            reason: without_value(error),
        }
    }
}

/// serde quotes the offending value: "invalid type: string \"Ada\", expected u32". Drop the quote.
fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    for kind in ["invalid type: ", "invalid value: "] {
        if let (Some(rest), Some(at)) = (text.strip_prefix(kind), text.rfind(", expected ")) {
            let found = rest.split([' ', '`', '"']).next().unwrap_or_default();
            return format!("{kind}{found}{}", &text[at..]);
        }
    }
    if text.starts_with("missing field")
        || text.starts_with("unknown field")
        || text.starts_with("duplicate field")
    {
        return text;
    }
    let place = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => format!("a value does not fit its type {place}"),
        serde_json::error::Category::Eof => format!("it ends too early {place}"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            format!("not JSON {place}")
        }
    }
}

/// Why a route refused or failed, and so what the caller reads. Made by `?` of any error: a body that does not
/// decode is 400, a journal that is full or away and a system that the host does not call for now are 503 with
/// `Retry-After`, anything unknown is 500 with nothing but its trace id.
///
/// ```
/// use coordinator_sdk::RouteError;
///
/// let refused = RouteError::new(404, "no-such-order", "order 7 is not known here");
/// assert_eq!(refused.status(), 404);
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

    pub(crate) fn into_meta(self) -> coordinator_abi::call::RouteFailure {
        coordinator_abi::call::RouteFailure {
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
        for cause in causes(&error) {
            if let Some(publish) = cause.downcast_ref::<PublishError>() {
                return Self {
                    chain,
                    after: publish.retry_after(),
                    ..publish.as_route()
                };
            }
            if let Some(http) = cause.downcast_ref::<HttpError>()
                && http.is_breaker_open()
            {
                let detail = "another system that this needs does not answer: try again later";
                return Self {
                    chain,
                    after: http.retry_after(),
                    ..Self::new(503, "upstream-unavailable", detail)
                };
            }
            if cause.is::<DecodeError>() || cause.is::<serde_json::Error>() {
                let detail = chain.join(": ");
                return Self {
                    chain,
                    ..Self::new(400, "malformed-body", detail)
                };
            }
        }
        Self {
            chain,
            ..Self::new(500, "internal", "")
        }
    }
}

/// Why a plugin did not start. Made by `?` of any error.
///
/// ```
/// use coordinator_sdk::StartError;
///
/// fn check(limit: u32) -> Result<(), StartError> {
///     if limit == 0 {
///         return Err(StartError::new("`limit` must be above zero"));
///     }
///     Ok(())
/// }
/// assert!(check(0).is_err());
/// ```
pub struct StartError {
    chain: Vec<String>,
}

impl StartError {
    /// With this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            chain: vec![reason.into()],
        }
    }

    pub(crate) fn into_chain(self) -> Vec<String> {
        self.chain
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for StartError {
    fn from(error: E) -> Self {
        Self {
            chain: chain(&error),
        }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.join(": "))
    }
}
