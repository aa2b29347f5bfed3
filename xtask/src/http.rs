//! JSON over HTTP to the processes we started.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Seconds to wait for one answer.
const PATIENCE_S: u64 = 30;

/// One of our servers.
pub(crate) struct Client {
    base: String,
    key: Option<String>,
}

impl Client {
    pub(crate) const fn new(base: String) -> Self {
        Self { base, key: None }
    }

    /// Sends `Authorization: Bearer KEY` with each call.
    pub(crate) fn with_key(base: String, key: String) -> Self {
        Self {
            base,
            key: Some(key),
        }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.call(minreq::Method::Get, path, None)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(minreq::Method::Put, path, Some(body))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(minreq::Method::Post, path, Some(body))
    }

    fn call(&self, method: minreq::Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let what = format!("{method} {}{path}", self.base);
        let mut request =
            minreq::Request::new(method, format!("{}{path}", self.base)).with_timeout(PATIENCE_S);
        if let Some(key) = &self.key {
            request = request.with_header("authorization", format!("Bearer {key}"));
        }
        if let Some(body) = body {
            request = request
                .with_header("content-type", "application/json")
                .with_body(body.to_string());
        }
        let answer = request
            .send()
            .with_context(|| format!("failed to call {what}"))?;
        let status = answer.status_code;
        // The body of a refusal says why; it comes from our own servers and holds no payload.
        ensure!(
            (200..300).contains(&status),
            "{what} answered {status}: {}",
            answer.as_str().unwrap_or("")
        );
        if answer.as_bytes().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(answer.as_bytes())
            .with_context(|| format!("{what} did not answer JSON"))
    }
}
