//! Calling other systems. The host makes the call: it pools, times out, traces and checks the destination.

use std::time::Duration;

use coordinator_abi::call::{FailureMeta, HttpMeta, ResponseMeta};
use coordinator_abi::code::outcome;
use coordinator_abi::{Code, Lent, SharedBytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DecodeError;

/// Makes outbound requests. A plugin may call the origins of its own `Url` settings; others need `allow_hosts`.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// A learner paid.
/// # #[message("org.example.payment.received.v1")] pub struct Paid { pub learner: String }
/// /// Settings.
/// #[settings]
/// pub struct Lms {
///     /// Enrolment endpoint.
///     enrolment_url: Url,
///     /// Bearer token.
///     token: Secret,
/// }
/// # #[plugin] impl Lms {
/// /// Enrols the learner.
/// #[handler]
/// async fn enrol(&self, ctx: &Context, paid: Paid) -> Result<(), HandlerError> {
///     let request = ctx.http().post(&self.enrolment_url).bearer(&self.token).json(&paid);
///     request.send().await?.error_for_status()?;
///     Ok(())
/// }
/// # }
///
/// async fn rename(ctx: &Context, course: &Url, title: &str) -> Result<(), HandlerError> {
///     let there = ctx.http().get(course).send().await?.status() == 200;
///     let answer = match (there, title) {
///         (true, "") => ctx.http().delete(course).send().await?,
///         (true, _) => ctx.http().request("PATCH", course).json(&title).send().await?,
///         (false, _) => ctx.http().put(course).json(&title).send().await?,
///     };
///     answer.error_for_status()?;
///     Ok(())
/// }
/// ```
pub struct Http<'a> {
    lent: &'a Lent,
}

impl<'a> Http<'a> {
    pub(crate) fn new(lent: &'a Lent) -> Self {
        Self { lent }
    }

    /// A GET.
    pub fn get(&self, url: impl AsRef<str>) -> HttpRequest<'a> {
        self.request("GET", url)
    }

    /// A POST. The host adds an `Idempotency-Key` that stays the same over all attempts of this delivery.
    pub fn post(&self, url: impl AsRef<str>) -> HttpRequest<'a> {
        self.request("POST", url)
    }

    /// A PUT.
    pub fn put(&self, url: impl AsRef<str>) -> HttpRequest<'a> {
        self.request("PUT", url)
    }

    /// A DELETE.
    pub fn delete(&self, url: impl AsRef<str>) -> HttpRequest<'a> {
        self.request("DELETE", url)
    }

    /// Any method.
    pub fn request(&self, method: &str, url: impl AsRef<str>) -> HttpRequest<'a> {
        let meta = HttpMeta {
            method: method.to_uppercase(),
            url: url.as_ref().to_owned(),
            timeout_ms: None,
            headers: Vec::new(),
        };
        HttpRequest {
            lent: self.lent,
            meta,
            body: SharedBytes::new(),
            unencodable: None,
        }
    }
}

/// A request about to be sent.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use std::time::Duration;
///
/// async fn pay(ctx: &Context, url: &Url, token: &Secret, order: &str) -> Result<(), HandlerError> {
///     let request = ctx.http().post(url).bearer(token).timeout(Duration::from_secs(5));
///     let request = request.header("idempotency-key", order).json(&serde_json::json!({"order": order}));
///     request.send().await?.error_for_status()?;
///     Ok(())
/// }
///
/// async fn upload(ctx: &Context, url: &Url, csv: Vec<u8>) -> Result<(), HandlerError> {
///     ctx.http().put(url).header("content-type", "text/csv").body(csv).send().await?.error_for_status()?;
///     Ok(())
/// }
/// ```
#[must_use = "a request is made when `send` is awaited"]
pub struct HttpRequest<'a> {
    lent: &'a Lent,
    meta: HttpMeta,
    body: SharedBytes,
    unencodable: Option<String>,
}

impl HttpRequest<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.meta
            .headers
            .push((name.to_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Adds `Authorization: Bearer …`.
    pub fn bearer(self, token: &crate::Secret) -> Self {
        let value = format!("Bearer {}", token.expose());
        self.header("authorization", value)
    }

    /// Time for the whole call. The host's own limit holds as well.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.meta.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// A JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body = bytes.into(),
            Err(error) => self.unencodable = Some(error.to_string()),
        }
        self.header("content-type", "application/json")
    }

    /// A body of bytes.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into().into();
        self
    }

    /// Sends it and waits for the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// If there was no answer, or the destination is not allowed.
    pub async fn send(self) -> Result<HttpResponse, HttpError> {
        let target = target(&self.meta);
        if let Some(reason) = self.unencodable {
            let reason = format!("the body does not encode as JSON: {reason}");
            return Err(HttpError {
                target,
                code: outcome::REJECTED,
                reason,
                after: None,
            });
        }
        let outcome = self.lent.http(self.meta.encode(), self.body).await;
        if !outcome.is_ok() {
            let failure = FailureMeta::of(&outcome);
            return Err(HttpError {
                target,
                code: outcome.code,
                reason: failure.chain.join(": "),
                after: failure.after_ms.map(Duration::from_millis),
            });
        }
        match ResponseMeta::decode(&outcome.meta) {
            Ok(head) => Ok(HttpResponse {
                target,
                head,
                body: outcome.body,
            }),
            Err(malformed) => Err(HttpError {
                target,
                code: outcome::FAILED,
                reason: malformed.to_string(),
                after: None,
            }),
        }
    }
}

/// `POST https://lms.example.org/path`: no query and no credentials, for it goes into logs.
fn target(meta: &HttpMeta) -> String {
    let shown = url::Url::parse(&meta.url).map_or_else(
        |_| "a malformed URL".to_owned(),
        |url| format!("{}{}", url.origin().ascii_serialization(), url.path()),
    );
    format!("{} {shown}", meta.method)
}

/// An answer.
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// A course, as the catalogue has it.
/// #[data]
/// pub struct Course {
///     pub title: String,
/// }
///
/// async fn course(ctx: &Context, url: &Url) -> Result<Option<Course>, HandlerError> {
///     let answer = ctx.http().get(url).send().await?;
///     if answer.status() == 404 {
///         return Ok(None);
///     }
///     if answer.header("x-cache") == Some("stale") {
///         tracing::debug!("the catalogue answered from its cache");
///     }
///     tracing::debug!(length = answer.bytes().len(), "the catalogue answered");
///     Ok(Some(answer.error_for_status()?.json()?))
/// }
/// ```
#[derive(Debug)]
pub struct HttpResponse {
    target: String,
    head: ResponseMeta,
    body: SharedBytes,
}

impl HttpResponse {
    /// Status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header, if it is there and text. Names are lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .head
            .headers
            .iter()
            .find(|(header, _)| header == name)?;
        std::str::from_utf8(&found.1).ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is not, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let what = format!("the answer to {}", self.target);
        serde_json::from_slice(&self.body).map_err(|error| DecodeError::new(what, &error))
    }

    /// An error if the status is 300 or above. In a handler, `?` then decides by the status.
    ///
    /// # Errors
    ///
    /// [`StatusError`].
    pub fn error_for_status(self) -> Result<Self, StatusError> {
        if self.head.status < 300 {
            return Ok(self);
        }
        // The host has turned the header's date form into seconds.
        let after = self
            .header("retry-after")
            .and_then(|text| text.trim().parse().ok());
        Err(StatusError {
            status: self.head.status,
            after: after.map(Duration::from_secs),
            target: self.target,
        })
    }
}

/// Another system refused.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use std::time::Duration;
///
/// async fn book(ctx: &Context, url: &Url) -> Result<(), HandlerError> {
///     let answer = ctx.http().post(url).send().await?;
///     match answer.error_for_status() {
///         Err(refused) if refused.status() == 409 => Ok(()), // it was booked before
///         Err(refused) if refused.status() == 403 => {
///             // So this system says that it is asked too often.
///             let after = refused.retry_after().unwrap_or(Duration::from_secs(60));
///             Err(HandlerError::retry("asked too often").after(after))
///         }
///         answer => answer.map(drop).map_err(HandlerError::from),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{target} answered {status}")]
pub struct StatusError {
    target: String,
    status: u16,
    after: Option<Duration>,
}

impl StatusError {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Its `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.after
    }
}

/// There was no answer.
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// async fn ping(ctx: &Context, url: &Url) -> Result<(), HandlerError> {
///     match ctx.http().get(url).send().await {
///         Err(error) if error.is_forbidden() => Err(error).dead(), // the operator does not allow this origin
///         Err(error) if error.is_timeout() => Ok(()), // it is slow, and there
///         Err(error) if error.is_breaker_open() => {
///             tracing::info!(after = ?error.retry_after(), "the host leaves it alone for a while");
///             Err(error.into())
///         }
///         answer => answer?.error_for_status().map(drop).map_err(HandlerError::from),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{target} failed: {reason}")]
pub struct HttpError {
    target: String,
    code: Code,
    reason: String,
    after: Option<Duration>,
}

impl HttpError {
    /// Did the host refuse to make the call?
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.code == outcome::FORBIDDEN || self.code == outcome::REJECTED
    }

    /// Was the call not made, because that system failed again and again? In a handler `?` then asks for another
    /// attempt, and the host does not count this one.
    #[must_use]
    pub fn is_breaker_open(&self) -> bool {
        self.code == outcome::OPEN
    }

    /// When to try again, if the host said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.after
    }

    /// Did it take too long?
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.code == outcome::TIMEOUT
    }
}
