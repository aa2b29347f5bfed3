//! Reads a body, up to a size and within a time.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::Problem;

/// The whole body.
///
/// # Errors
///
/// 413 if it is longer than `limit`, 408 if it does not arrive within `timeout`, 400 if it breaks off.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Problem> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(timeout, collect(payload, limit)).await {
        Ok(body) => body,
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", timeout.as_secs());
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                detail,
            ))
        }
    }
}

async fn collect(mut payload: web::Payload, limit: usize) -> Result<Bytes, Problem> {
    // Most bodies come in one chunk: hand it on as it is.
    let mut first: Option<Bytes> = None;
    let mut more: Option<BytesMut> = None;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("broken-body", "the body broke off"))?;
        let so_far = more
            .as_ref()
            .map_or(first.as_ref().map_or(0, Bytes::len), BytesMut::len);
        if so_far + chunk.len() > limit {
            return Err(too_large(limit));
        }
        match (&mut more, first.take()) {
            (Some(more), _) => more.extend_from_slice(&chunk),
            (None, None) => first = Some(chunk),
            (None, Some(start)) => {
                let mut joined = BytesMut::with_capacity(start.len() + chunk.len());
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&chunk);
                more = Some(joined);
            }
        }
    }
    Ok(more.map_or_else(|| first.unwrap_or_default(), BytesMut::freeze))
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is longer than {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
}
