//! A small blocking client of the host's HTTP API, and its refusals in an operator's words.

use std::io::{self, Read as _};

use coordinator_config::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::exit::{Failure, PROBLEMS, UNAVAILABLE};

/// Seconds to wait for one answer; the slowest, a publish, waits for a disk.
const PATIENCE_S: u64 = 30;
/// The same, where the host works on many messages before it answers.
const LONG_PATIENCE_S: u64 = 30 * 60;
/// Longest head of an answer that is read.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Longest refusal that is read of an answer without an end.
const MAX_REFUSAL_BYTES: u64 = 64 * 1024;

/// The API of one host.
#[derive(Clone)]
pub(crate) struct Client {
    base: Url,
    key: Option<Secret>,
    patience_s: u64,
}

/// An answer of the host.
pub(crate) struct Reply {
    url: String,
    text: String,
}

/// What is sent along with a POST.
pub(crate) struct Body {
    pub(crate) content_type: &'static str,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) text: String,
}

impl Body {
    pub(crate) fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            idempotency_key: None,
            text: value.to_string(),
        }
    }
}

/// A call did not bring what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing there, or it broke off.
    #[error(
        "no host answers at {url}\n  (start it with `coordinator serve`, or name another with --url or COORDINATOR_URL)"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: minreq::Error,
    },
    /// No key was sent, or one that is none of the host's.
    #[error("the host at {url} refused: {said}\n  ({hint})")]
    Unauthorised {
        /// Where.
        url: String,
        /// The host's own words.
        said: String,
        /// What to do.
        hint: &'static str,
    },
    /// A problem document.
    #[error("the host refused: {}", .0.sentence())]
    Refused(Box<Problem>),
    /// No JSON, or of another shape.
    #[error("{url} does not answer as a Coordinator host\n  (is --url right?)")]
    Foreign {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// An RFC 9457 problem document, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: u16,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    trace_id: Option<String>,
    /// What only problems of its code have.
    #[serde(flatten)]
    pub(crate) more: serde_json::Map<String, Value>,
}

impl Problem {
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == 503
    }

    fn sentence(&self) -> String {
        let said = self.detail.as_ref().or(self.title.as_ref());
        let mut sentence = said
            .cloned()
            .unwrap_or_else(|| format!("HTTP {}", self.status));
        if let Some(code) = &self.code {
            sentence.push_str(&format!(" [{code}]"));
        }
        // A 500 says nothing else: the trace id finds it in the host's log.
        if let Some(trace_id) = self.trace_id.as_ref().filter(|_| self.status >= 500) {
            sentence.push_str(&format!(
                "\n  (look for trace id {trace_id} in the host's log)"
            ));
        }
        sentence
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Unreachable { .. } => UNAVAILABLE,
            // The journal is full, or the host is stopping.
            CallError::Refused(problem) if problem.status == 503 => UNAVAILABLE,
            _ => PROBLEMS,
        };
        Self::new(code, error)
    }
}

impl Client {
    pub(crate) fn new(base: Url, key: Option<Secret>) -> Self {
        Self {
            base,
            key,
            patience_s: PATIENCE_S,
        }
    }

    /// For answers that take long.
    pub(crate) fn patient(self) -> Self {
        Self {
            patience_s: LONG_PATIENCE_S,
            ..self
        }
    }

    /// Asks for `/api/v1/PATH`, each segment encoded; filters without a value are left out.
    pub(crate) fn get(
        &self,
        path: &[&str],
        filters: &[(&str, Option<String>)],
    ) -> Result<Reply, CallError> {
        let url = self.filtered(path, filters);
        self.send(minreq::get(url.as_str()), &url)
    }

    /// The same, answered line by line, without an end; who reads it watches for silence.
    pub(crate) fn follow(
        &self,
        path: &[&str],
        filters: &[(&str, Option<String>)],
    ) -> Result<impl io::Read + use<>, CallError> {
        let url = self.filtered(path, filters);
        let request = self.signed(minreq::get(url.as_str()), "text/event-stream");
        let mut answer = request
            .send_lazy()
            .map_err(|error| self.unreachable(error))?;
        let status = answer.status_code;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let mut text = String::new();
        // A refusal that breaks off says what it has said.
        let _ = answer
            .by_ref()
            .take(MAX_REFUSAL_BYTES)
            .read_to_string(&mut text);
        Err(self.refused(status, &url, &text))
    }

    /// Posts to `/api/v1/PATH`.
    pub(crate) fn post(&self, path: &[&str], body: Option<Body>) -> Result<Reply, CallError> {
        let url = self.at(path);
        self.send_with(minreq::post(url.as_str()), &url, body)
    }

    /// Does this to what is at `/api/v1/PATH`, with parameters.
    pub(crate) fn change_with(
        &self,
        method: minreq::Method,
        path: &[&str],
        parameters: &[(&str, Option<String>)],
    ) -> Result<Reply, CallError> {
        let url = self.filtered(path, parameters);
        self.send(minreq::Request::new(method, url.as_str()), &url)
    }

    /// Changes what is at `/api/v1/PATH`; with `expected`, only if that is still its revision.
    pub(crate) fn change(
        &self,
        method: minreq::Method,
        path: &[&str],
        body: Option<Body>,
        expected: Option<u64>,
    ) -> Result<Reply, CallError> {
        let url = self.at(path);
        let mut request = minreq::Request::new(method, url.as_str());
        if let Some(revision) = expected {
            request = request.with_header("if-match", format!("\"{revision}\""));
        }
        self.send_with(request, &url, body)
    }

    fn send_with(
        &self,
        mut request: minreq::Request,
        url: &Url,
        body: Option<Body>,
    ) -> Result<Reply, CallError> {
        if let Some(body) = body {
            if let Some(key) = body.idempotency_key {
                request = request.with_header("idempotency-key", key);
            }
            request = request
                .with_header("content-type", body.content_type)
                .with_body(body.text);
        }
        self.send(request, url)
    }

    /// The host as the operator would call it.
    fn name(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("`http` URLs have a path")
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        url
    }

    fn filtered(&self, path: &[&str], filters: &[(&str, Option<String>)]) -> Url {
        let mut url = self.at(path);
        let given: Vec<_> = filters
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .collect();
        if !given.is_empty() {
            url.query_pairs_mut().extend_pairs(given);
        }
        url
    }

    fn send(&self, request: minreq::Request, url: &Url) -> Result<Reply, CallError> {
        let request = self
            .signed(request, "application/json")
            .with_timeout(self.patience_s);
        let answer = request.send().map_err(|error| self.unreachable(error))?;
        let status = answer.status_code;
        let text = String::from_utf8_lossy(answer.as_bytes()).into_owned();
        match status {
            200..300 => Ok(Reply {
                url: url.to_string(),
                text,
            }),
            _ => Err(self.refused(status, url, &text)),
        }
    }

    fn signed(&self, request: minreq::Request, accept: &str) -> minreq::Request {
        let request = request
            .with_max_headers_size(MAX_HEAD_BYTES)
            // A redirect would take the key along.
            .with_follow_redirects(false)
            .with_header("accept", accept);
        match &self.key {
            Some(key) => request.with_header("authorization", format!("Bearer {}", key.expose())),
            None => request,
        }
    }

    fn unreachable(&self, source: minreq::Error) -> CallError {
        CallError::Unreachable {
            url: self.name(),
            source,
        }
    }

    fn refused(&self, status: u16, url: &Url, text: &str) -> CallError {
        match status {
            401 => self.unauthorised(text),
            _ => refusal(status, url, text),
        }
    }

    fn unauthorised(&self, text: &str) -> CallError {
        let problem: Problem = serde_json::from_str(text).unwrap_or_default();
        CallError::Unauthorised {
            url: self.name(),
            said: problem
                .detail
                .unwrap_or_else(|| "it asks for an API key".to_owned()),
            hint: match self.key {
                Some(_) => "--api-key or COORDINATOR_KEY is none of the host's `[api.keys.NAME]`",
                None => {
                    "no key was given: set --api-key or COORDINATOR_KEY to one of the host's `[api.keys.NAME]`"
                }
            },
        }
    }
}

fn refusal(status: u16, url: &Url, text: &str) -> CallError {
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => CallError::Refused(Box::new(Problem { status, ..problem })),
        // The API answers every refusal with a problem document; a 404 without one is another program.
        Err(source) => CallError::Foreign {
            url: url.to_string(),
            source,
        },
    }
}

impl Reply {
    /// The answer as it came.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// The answer, read.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_str(&self.text).map_err(|source| CallError::Foreign {
            url: self.url.clone(),
            source,
        })
    }
}
