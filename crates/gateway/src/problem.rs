//! Errors as callers read them: problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use coordinator_journal::{JournalError, PublishError, UnknownCursor};
use serde::Serialize;

/// A refusal. `code` is stable; `detail` says what was wrong, where, and what was expected.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

/// Boxed: it is the rare half of many results.
#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    trace_id: Option<String>,
    pointer: Option<String>,
    index: Option<usize>,
    after: Option<Duration>,
    allow: Option<String>,
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    ty: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(flatten)]
    more: &'a serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// With this status, stable code and sentence.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            trace_id: None,
            pointer: None,
            index: None,
            after: None,
            allow: None,
            more: serde_json::Map::new(),
        }))
    }

    /// 400.
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404.
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 405: `path` answers only the methods `allow`.
    #[must_use]
    pub(crate) fn wrong_method(path: &str, method: &str, allow: &str) -> Self {
        let detail = format!("`{path}` answers {allow}, not {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
            .allow(allow.to_owned())
    }

    /// 500: the caller learns the trace id and nothing else.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "")
    }

    /// A plugin's own status and code. What it says of its own failures is for the log. A failure under a status that
    /// is none is 500: it must not pass for "accepted".
    #[must_use]
    pub fn of_plugin(status: u16, code: String, detail: String) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let told = !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, code, if told { detail } else { String::new() })
    }

    /// Adds the trace id.
    #[must_use]
    pub fn trace(mut self, trace_id: String) -> Self {
        self.0.trace_id = Some(trace_id);
        self
    }

    /// Adds where in the body it is: a JSON pointer.
    #[must_use]
    pub fn pointer(mut self, pointer: String) -> Self {
        self.0.pointer = Some(pointer);
        self
    }

    /// Adds which message of a batch it is.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn after(mut self, after: Option<Duration>) -> Self {
        self.0.after = after;
        self
    }

    /// Adds `Allow`.
    #[must_use]
    pub fn allow(mut self, methods: String) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// Adds something that only problems of this code have.
    #[must_use]
    pub fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        self.0.more.insert(name.to_owned(), value);
        self
    }

    /// Says another sentence; the code stays.
    #[must_use]
    pub(crate) fn saying(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// What it says.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.status.as_u16(), self.0.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let parts = &*self.0;
        let body = Body {
            ty: "about:blank",
            title: parts.status.canonical_reason().unwrap_or_default(),
            status: parts.status.as_u16(),
            code: &parts.code,
            detail: &parts.detail,
            pointer: parts.pointer.as_deref(),
            index: parts.index,
            trace_id: parts.trace_id.as_deref(),
            more: &parts.more,
        };
        let mut response = HttpResponse::build(parts.status);
        if let Some(after) = parts.after {
            // Rounded up: a caller that comes too early is refused again.
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &parts.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if parts.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        tracing::warn!(error = %Chain(&error), "a publish was refused: the journal takes nothing now");
        let (code, after) = match error {
            PublishError::Full { retry_after, .. } => ("journal-full", retry_after),
            PublishError::Unavailable { retry_after, .. } => ("journal-unavailable", retry_after),
        };
        let detail = "nothing was accepted: try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(Some(after))
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        if error.source.is::<UnknownCursor>() {
            return Self::bad_request("malformed-parameter", format!("`cursor`: {}", error.source));
        }
        tracing::error!(error = %Chain(&error), "the journal cannot be read");
        let detail = "the journal cannot be read now: try again later";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "journal-unavailable",
            detail,
        )
        .after(Some(Duration::from_secs(5)))
    }
}

/// An error with its causes, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'a));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
