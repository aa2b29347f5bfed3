//! A request to a plugin: found, capped, verified over its raw bytes, then handed over.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use coordinator_abi::call::{ResponseMeta, RouteMeta};
use coordinator_context::{Pass, RouteFailed, RouteReply, RouteRequest};
use coordinator_message::TraceParent;
use coordinator_telemetry::metric;
use coordinator_webhooks::{Scheme, SchemeConfig, VerifyError, VerifyRequest, verify};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::body;
use crate::problem::Problem;
use crate::routes::{Entry, Found, Guard};
use crate::state::State;

/// Everything that no fixed path of the host answers.
pub(crate) async fn serve(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let began = Instant::now();
    let trace = trace_of(&request);
    let (label, response) = match find(&state, &request) {
        (Found::Route(entry, params), _pass) => {
            let span = tracing::info_span!(
                "receive", plugin.name = entry.plugin.name(), route.path = %entry.path, trace_id = trace.trace_id()
            );
            let answer = answer(&state, &entry, params, &request, payload, trace)
                .instrument(span)
                .await;
            (Some(entry), answer)
        }
        (other, _) => (None, Err(refuse(&request, other))),
    };
    let response =
        response.unwrap_or_else(|problem| problem.trace(trace.trace_id()).error_response());
    let label = label
        .as_ref()
        .map_or("unmatched", |entry| entry.path.as_str());
    metric::http_request(
        label,
        request.method().as_str(),
        response.status().as_u16(),
        began.elapsed(),
    );
    response
}

/// The route, and what keeps its plugin from being stopped until the request is answered.
fn find(state: &State, request: &HttpRequest) -> (Found, Option<Pass>) {
    loop {
        let live = state.live.load();
        let found = live.routes.find(request.method().as_str(), request.path());
        let Found::Route(entry, _) = &found else {
            return (found, None);
        };
        if let Some(pass) = entry.plugin.enter() {
            return (found, Some(pass));
        }
        // Replaced between the look and the entering: once more. Nothing in its place means that the host stops.
        if Arc::ptr_eq(&live, &state.live.load()) {
            return (Found::Closed("the host is stopping".to_owned()), None);
        }
    }
}

fn refuse(request: &HttpRequest, found: Found) -> Problem {
    match found {
        Found::Methods(methods) => Problem::wrong_method(
            request.path(),
            request.method().as_str(),
            &methods.join(", "),
        ),
        Found::Closed(why) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "plugin-unavailable", why)
                .after(Some(std::time::Duration::from_secs(30)))
        }
        Found::Route(..) | Found::Nothing => Problem::not_found(
            "no-such-route",
            "no plugin has a route here, and the host has none",
        ),
    }
}

async fn answer(
    state: &State,
    entry: &Entry,
    params: Vec<(String, String)>,
    request: &HttpRequest,
    payload: web::Payload,
    trace: TraceParent,
) -> Result<HttpResponse, Problem> {
    if let Guard::Key = entry.guard {
        state.keys.check(request)?;
    }
    let limit = entry.body_limit.map_or(state.body_limit, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let body = body::read(request, payload, limit, state.body_timeout).await?;
    let sent_id = match &entry.guard {
        Guard::Verify(scheme, config) => verified(*scheme, config, request, &body)?,
        Guard::Public | Guard::Key => None,
    };
    let meta = RouteMeta {
        method: entry.method.clone(),
        path: request
            .path()
            .get(entry.mount_len..)
            .unwrap_or_default()
            .to_owned(),
        query: request.query_string().to_owned(),
        webhook_id: sent_id.unwrap_or_else(|| sha256(&body)),
        trace: Some(trace.to_string()),
        params,
        headers: Vec::new(),
    };
    let mut headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let call = RouteRequest {
        meta,
        headers: &mut headers,
        body,
        trace,
    };
    let answer = entry.plugin.answer(entry.index, call);
    match tokio::time::timeout(state.route_timeout, answer).await {
        Ok(RouteReply::Response { head, body }) => respond(head, body),
        Ok(RouteReply::Failed(failure)) => Err(failed(entry, failure)),
        Err(_) => {
            let name = entry.plugin.name();
            tracing::error!(plugin.name = name, route.path = %entry.path, "route of `{name}` did not answer in time");
            let detail = "the plugin behind this route did not answer in time";
            Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "route-timeout",
                detail,
            ))
        }
    }
}

/// What the caller reads of it; the rest goes to the log.
fn failed(entry: &Entry, failure: RouteFailed) -> Problem {
    if failure.status >= 500 {
        let (name, reason) = (entry.plugin.name(), failure.chain.join(": "));
        tracing::error!(plugin.name = name, route.path = %entry.path, error = %reason, "route of `{name}` failed");
    }
    Problem::of_plugin(failure.status, failure.code, failure.detail).after(failure.after)
}

/// The sender's id of the event. Nothing of the body was parsed before its signature was found good.
fn verified(
    scheme: Scheme,
    config: &SchemeConfig,
    request: &HttpRequest,
    body: &Bytes,
) -> Result<Option<String>, Problem> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let headers = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let sent = VerifyRequest {
        headers: &headers,
        body,
        now: i64::try_from(now).unwrap_or(i64::MAX),
    };
    match verify(scheme, config, &sent) {
        Ok(verified) => Ok(verified.id),
        Err(error) if error.is_ours() => {
            tracing::error!(error = %error, "a signed request cannot be verified");
            let detail = "this route cannot verify signatures: its secret is not usable";
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-secret",
                detail,
            ))
        }
        Err(error) => {
            let status = match error {
                VerifyError::MissingHeader { .. } | VerifyError::MalformedHeader { .. } => {
                    StatusCode::BAD_REQUEST
                }
                _ => StatusCode::UNAUTHORIZED,
            };
            Err(Problem::new(status, error.code(), error.to_string()))
        }
    }
}

fn respond(head: ResponseMeta, body: Bytes) -> Result<HttpResponse, Problem> {
    // 1xx is no answer: the caller would wait for one.
    let status = StatusCode::from_u16(head.status).ok();
    let Some(status) = status.filter(|status| !status.is_informational()) else {
        let status = head.status;
        tracing::error!("a plugin answered with status {status}, which is no answer");
        return Err(Problem::internal());
    };
    let mut response = HttpResponse::build(status);
    for (name, value) in head.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(&value))
        else {
            tracing::warn!("a plugin answered with a malformed header: it is left out");
            continue;
        };
        // Framing is the host's.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING && name != CONNECTION {
            response.append_header((name, value));
        }
    }
    Ok(response.body(body))
}

/// The trace that the caller is in, or a new one.
pub(crate) fn trace_of(request: &HttpRequest) -> TraceParent {
    let given = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
    given.map_or_else(TraceParent::start, |trace| trace.child())
}

fn sha256(body: &[u8]) -> String {
    Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
