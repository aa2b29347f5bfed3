//! CloudEvents 1.0 over HTTP, in its three content modes
//! ([binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md)).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use coordinator_message::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Problem;

/// So many messages at most in one batch.
const MAX_BATCH: usize = 1_000;

/// One event as its sender wrote it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) ty: String,
    pub(crate) source: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) id: Option<String>,
    /// Our extension `deliverat`: not delivered before then.
    pub(crate) deliver_at: Option<Timestamp>,
    pub(crate) data: Bytes,
}

/// Structured mode. `specversion`, `id` and `source` are taken as they come; unknown extensions are passed over.
#[derive(Deserialize)]
struct Structured<'a> {
    specversion: Option<String>,
    #[serde(rename = "type")]
    ty: String,
    id: Option<String>,
    source: Option<String>,
    subject: Option<String>,
    #[serde(alias = "partitionkey")]
    key: Option<String>,
    time: Option<Timestamp>,
    #[serde(borrow)]
    deliverat: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads the request's events, and whether they are a batch.
pub(crate) fn read(request: &HttpRequest, body: &Bytes) -> Result<Vec<Event>, Problem> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mime = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match mime.as_str() {
        "application/cloudevents+json" => Ok(vec![structured(parse(body)?, 0)?]),
        "application/cloudevents-batch+json" => batch(body),
        "application/json" if request.headers().contains_key("ce-type") => {
            Ok(vec![binary(request, body)?])
        }
        _ => {
            let detail = "expected `application/cloudevents+json`, `application/cloudevents-batch+json`, or \
                          `application/json` with `ce-*` headers";
            Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                detail,
            ))
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request("malformed-event", error.to_string()))
}

fn batch(body: &Bytes) -> Result<Vec<Event>, Problem> {
    let events: Vec<Structured<'_>> = parse(body)?;
    if events.is_empty() || events.len() > MAX_BATCH {
        let detail = format!(
            "a batch holds 1 to {MAX_BATCH} events, this one {}",
            events.len()
        );
        return Err(Problem::bad_request("batch-size", detail));
    }
    events
        .into_iter()
        .enumerate()
        .map(|(index, event)| structured(event, index))
        .collect()
}

fn structured(event: Structured<'_>, index: usize) -> Result<Event, Problem> {
    if event
        .specversion
        .as_deref()
        .is_some_and(|version| version != "1.0")
    {
        let detail = "this host speaks CloudEvents `specversion` 1.0";
        return Err(Problem::bad_request("malformed-event", detail).index(index));
    }
    if event.id.as_deref() == Some("") {
        let detail = "the event's `id` is empty";
        return Err(Problem::bad_request("malformed-event", detail).index(index));
    }
    let deliver_at = event.deliverat.map(|raw| -> Result<Timestamp, String> {
        // Kept raw up to here, so that the refusal can name it.
        let text: String = serde_json::from_str(raw.get()).map_err(|_| raw.get().to_owned())?;
        Timestamp::parse(&text).map_err(|_| text)
    });
    let Some(data) = event.data else {
        return Err(
            Problem::bad_request("malformed-event", "the event has no `data`").index(index),
        );
    };
    Ok(Event {
        ty: event.ty,
        source: event.source,
        subject: event.subject,
        key: event.key,
        time: event.time,
        id: event.id,
        deliver_at: deliver_at
            .transpose()
            .map_err(|text| malformed_deliver_at(&text).index(index))?,
        data: Bytes::copy_from_slice(data.get().as_bytes()),
    })
}

fn binary(request: &HttpRequest, body: &Bytes) -> Result<Event, Problem> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let time = header("ce-time")
        .map(|text| Timestamp::parse(&text))
        .transpose();
    Ok(Event {
        ty: header("ce-type").unwrap_or_default(),
        source: header("ce-source"),
        subject: header("ce-subject"),
        key: header("ce-key").or_else(|| header("ce-partitionkey")),
        time: time.map_err(|error| Problem::bad_request("malformed-event", error.to_string()))?,
        id: header("ce-id").filter(|id| !id.is_empty()),
        deliver_at: deliver_at_header(request)?,
        data: body.clone(),
    })
}

/// One that cannot be read must not be passed over: the message would be delivered at once.
fn deliver_at_header(request: &HttpRequest) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = request.headers().get("ce-deliverat") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    Timestamp::parse(text)
        .map(Some)
        .map_err(|_| malformed_deliver_at(text))
}

fn malformed_deliver_at(text: &str) -> Problem {
    let text: String = text.chars().take(64).collect();
    let detail = format!(
        "`deliverat` is not a time: expected RFC 3339, such as `2026-01-31T09:30:00Z`, found `{text}`"
    );
    Problem::bad_request("malformed-event", detail)
}
