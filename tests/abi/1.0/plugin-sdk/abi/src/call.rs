//! What the `meta` and `body` of each call hold.
//!
//! Hot calls (routes, handlers, HTTP) use [`fields`](crate::fields); the others use JSON.

use serde::{Deserialize, Serialize};

use crate::fields::{Fields, FieldsWriter, Malformed};
use crate::{Outcome, SharedBytes};

/// A request to a route. `body` of the call is the request's raw body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteMeta {
    /// HTTP method, in capitals.
    pub method: String,
    /// Path below the mount, such as `/charges`.
    pub path: String,
    /// Raw query, without `?`.
    pub query: String,
    /// The sender's id of the event, or the SHA-256 of the body.
    pub webhook_id: String,
    /// W3C traceparent of the request.
    pub trace: Option<String>,
    /// Path parameters, by name.
    pub params: Vec<(String, String)>,
    /// Header names (lower case) and values, as sent.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl RouteMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        self.encode_with(headers)
    }

    /// As fields, with headers taken from elsewhere, so that a host needs no copy of them.
    #[must_use]
    pub fn encode_with<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(512);
        fields
            .put(&self.method)
            .put(&self.path)
            .put(&self.query)
            .put(&self.webhook_id)
            .put_opt(self.trace.as_ref())
            .put_u64(self.params.len() as u64);
        for (name, value) in &self.params {
            fields.put(name).put(value);
        }
        for (name, value) in headers {
            fields.put(name).put(value);
        }
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        let mut decoded = Self {
            method: fields.next_str()?.to_owned(),
            path: fields.next_str()?.to_owned(),
            query: fields.next_str()?.to_owned(),
            webhook_id: fields.next_str()?.to_owned(),
            trace: fields.next_opt_str()?.map(str::to_owned),
            params: Vec::new(),
            headers: Vec::new(),
        };
        for _ in 0..fields.next_u64()? {
            decoded
                .params
                .push((fields.next_str()?.to_owned(), fields.next_str()?.to_owned()));
        }
        while !fields.is_empty() {
            decoded
                .headers
                .push((fields.next_str()?.to_owned(), fields.next_bytes()?.to_vec()));
        }
        Ok(decoded)
    }
}

/// The head of an HTTP response, of a route or of an outbound call. `body` of the outcome is its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseMeta {
    /// Status code.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl ResponseMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(128);
        fields.put_u64(u64::from(self.status));
        for (name, value) in &self.headers {
            fields.put(name).put(value);
        }
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        let status = u16::try_from(fields.next_u64()?).map_err(|_| Malformed)?;
        let mut headers = Vec::new();
        while !fields.is_empty() {
            headers.push((fields.next_str()?.to_owned(), fields.next_bytes()?.to_vec()));
        }
        Ok(Self { status, headers })
    }
}

/// The message of a handler call. `body` of the call is its payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandleMeta {
    /// Message id.
    pub id: String,
    /// Message type.
    pub ty: String,
    /// Who published it.
    pub source: String,
    /// When it happened, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Ordering key.
    pub key: Option<String>,
    /// Correlation id.
    pub correlation: String,
    /// The message that caused it.
    pub cause: Option<String>,
    /// W3C traceparent.
    pub trace: Option<String>,
    /// Number of this attempt, from 1.
    pub attempt: u64,
    /// How often it was replayed.
    pub replay: u64,
}

impl HandleMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(384);
        fields
            .put(&self.id)
            .put(&self.ty)
            .put(&self.source)
            .put_u64(self.time_ms)
            .put_opt(self.key.as_ref())
            .put(&self.correlation)
            .put_opt(self.cause.as_ref())
            .put_opt(self.trace.as_ref())
            .put_u64(self.attempt)
            .put_u64(self.replay);
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        let text = |fields: &mut Fields<'_>| fields.next_str().map(str::to_owned);
        let maybe =
            |fields: &mut Fields<'_>| fields.next_opt_str().map(|text| text.map(str::to_owned));
        Ok(Self {
            id: text(&mut fields)?,
            ty: text(&mut fields)?,
            source: text(&mut fields)?,
            time_ms: fields.next_u64()?,
            key: maybe(&mut fields)?,
            correlation: text(&mut fields)?,
            cause: maybe(&mut fields)?,
            trace: maybe(&mut fields)?,
            attempt: fields.next_u64()?,
            replay: fields.next_u64()?,
        })
    }
}

/// An outbound HTTP request. `body` of the call is its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpMeta {
    /// HTTP method, in capitals.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Time for the whole call, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Header names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl HttpMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(256);
        fields
            .put(&self.method)
            .put(&self.url)
            .put_opt(self.timeout_ms.map(u64::to_le_bytes));
        for (name, value) in &self.headers {
            fields.put(name).put(value);
        }
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        let method = fields.next_str()?.to_owned();
        let url = fields.next_str()?.to_owned();
        let timeout_ms = match fields.next_opt()? {
            Some(bytes) => Some(
                bytes
                    .try_into()
                    .map(u64::from_le_bytes)
                    .map_err(|_| Malformed)?,
            ),
            None => None,
        };
        let mut headers = Vec::new();
        while !fields.is_empty() {
            headers.push((fields.next_str()?.to_owned(), fields.next_bytes()?.to_vec()));
        }
        Ok(Self {
            method,
            url,
            timeout_ms,
            headers,
        })
    }
}

/// Messages to publish, all or nothing. `body` of the call is a list of fields, one payload each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishMeta {
    /// In the order of the payloads.
    pub messages: Vec<PublishItem>,
}

/// One message to publish.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PublishItem {
    /// Message type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Lane, if not the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Ordering key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Same publisher, type and key: the same message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// CloudEvents subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Not delivered before then, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_at_ms: Option<i64>,
}

/// The answer to a publish: one receipt a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishReply {
    /// In the order of the messages.
    pub receipts: Vec<ReceiptMeta>,
}

/// What became of one published message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptMeta {
    /// Message id.
    pub id: String,
    /// Was it there already?
    pub duplicate: bool,
}

/// Why a call failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureMeta {
    /// Try again after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// The error, then its causes, outermost first.
    pub chain: Vec<String>,
}

impl FailureMeta {
    /// One error without a cause.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            after_ms: None,
            chain: vec![message.into()],
        }
    }

    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        json(self)
    }

    /// Of a failed outcome; says so itself when the other side sent none.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        serde_json::from_slice(&outcome.meta).unwrap_or_else(|_| {
            Self::new(format!(
                "the call ended with code {} and no reason",
                outcome.code.0
            ))
        })
    }
}

/// Why a route refused or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFailure {
    /// HTTP status for the caller.
    pub status: u16,
    /// Stable code for the caller.
    pub code: String,
    /// Sentence for the caller; empty where the caller is told nothing.
    pub detail: String,
    /// Try again after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// For the log: the error, then its causes.
    #[serde(default)]
    pub chain: Vec<String>,
}

/// As JSON bytes.
pub fn json<T: Serialize>(value: &T) -> SharedBytes {
    // The types above hold text and numbers only: they always serialise.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
