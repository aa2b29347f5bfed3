//! One HTTP request to the host, and its answer.

use minreq::{Method, Request};
use serde_json::Value;

use crate::API_KEY;

/// Seconds to wait for one answer.
const PATIENCE_S: u64 = 60;

/// A request. It carries no API key unless told.
#[derive(Debug)]
pub struct Ask(Request);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// Of this method, to this URL.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let method = Method::Custom(method.to_owned());
        Self(Request::new(method, url).with_timeout(PATIENCE_S))
    }

    /// With the house's API key.
    #[must_use]
    pub fn key(self) -> Self {
        self.header("authorization", &format!("Bearer {API_KEY}"))
    }

    /// With one header more.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.with_header(name, value))
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self(self.0.with_body(body))
    }

    /// With this body, as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends it.
    ///
    /// # Panics
    ///
    /// If no answer comes.
    #[track_caller]
    pub fn send(self) -> Answer {
        self.try_send().expect("the host answers")
    }

    /// Sends it to a host that may be gone; `None` if no answer came.
    #[must_use]
    pub fn try_send(self) -> Option<Answer> {
        let answer = self.0.send().ok()?;
        Some(Answer {
            status: answer.status_code,
            headers: answer.headers.clone(),
            body: answer.into_bytes(),
        })
    }
}

impl Answer {
    /// Its status was this one.
    ///
    /// # Panics
    ///
    /// If not; the whole answer is shown.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// It was answered with 2xx: from here on the host is responsible.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let body = serde_json::from_slice(&self.body);
        body.unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The stable code of problem details (RFC 9457), and the sentence that goes with it.
    ///
    /// # Panics
    ///
    /// If the answer is no problem, or says another status than it has, or no reason.
    #[track_caller]
    pub fn problem(&self) -> (String, String) {
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (code, detail) = (text("code"), text("detail"));
        assert!(!code.is_empty(), "it has no code: {body}");
        (code, detail)
    }

    /// Seconds of `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.parse().ok()
    }
}
