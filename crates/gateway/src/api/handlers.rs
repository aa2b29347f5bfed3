//! `/handlers`: how far each one is; stopping it, starting it, and letting it skip what waits.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_journal::Control;
use coordinator_message::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::operate::by;
use super::recorded::{Act, recorded};
use super::view::List;
use crate::Problem;
use crate::state::{HandlerView, State};

#[derive(Serialize)]
struct View {
    id: String,
    #[serde(rename = "type")]
    ty: Vec<String>,
    state: &'static str,
    lag: u64,
    running: u64,
    retrying: u64,
    parked: u64,
    dead: u64,
    paused: bool,
    oldest_s: Option<u64>,
    /// Until when its breaker is open.
    open_until: Option<Timestamp>,
    terms: Option<Terms>,
}

#[derive(Serialize)]
struct Terms {
    max_attempts: u32,
    backoff_ms: [u64; 2],
    /// Each wait, if they are listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backoff_waits_ms: Vec<u64>,
    timeout_ms: u64,
    concurrency: u32,
    /// On each node.
    rate: Option<String>,
    order: &'static str,
    on_exhausted: &'static str,
    breaker: bool,
}

impl Terms {
    fn of(view: &HandlerView) -> Self {
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            max_attempts: view.terms.max_attempts,
            backoff_ms: [
                millis(view.terms.backoff_min),
                millis(view.terms.backoff_max),
            ],
            backoff_waits_ms: view
                .terms
                .backoff_waits
                .iter()
                .copied()
                .map(millis)
                .collect(),
            timeout_ms: millis(view.terms.timeout),
            concurrency: view.terms.concurrency,
            rate: view.terms.rate.map(|rate| rate.to_string()),
            order: view.terms.order.as_str(),
            on_exhausted: view.terms.on_exhausted.as_str(),
            breaker: view.terms.breaker.is_some(),
        }
    }
}

/// Every handler that the journal knows: running ones, those that wait for their plugin to run, and those that are no
/// longer in the wiring.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let running: BTreeMap<String, HandlerView> = state
        .handlers
        .list()
        .into_iter()
        .map(|view| (view.id.clone(), view))
        .collect();
    let stats = state.publisher.journal().stats().await?;
    let items = stats.handlers.into_iter().map(|handler| {
        let view = running.get(&handler.handler);
        View {
            ty: handler.types.iter().map(ToString::to_string).collect(),
            state: match view {
                // Another node may have been told, and this one not yet.
                Some(view) if handler.paused && view.state == "running" => "paused",
                Some(view) => view.state,
                None if handler.open => "waiting",
                None => "removed",
            },
            lag: handler.lag,
            running: handler.running,
            retrying: handler.retrying,
            parked: handler.parked,
            dead: handler.dead,
            paused: handler.paused,
            oldest_s: handler.oldest.map(|age| age.as_secs()),
            open_until: view.and_then(|view| view.open_until),
            terms: view.map(Terms::of),
            id: handler.handler,
        }
    });
    Ok(HttpResponse::Ok().json(List {
        items: items.collect(),
        next: None,
    }))
}

/// Stops new deliveries of one handler, on every node, until it is resumed.
pub(crate) async fn pause(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    control(
        state,
        request,
        id.into_inner(),
        "handler.pause",
        Control::Pause,
    )
    .await
}

/// Goes on with one handler.
pub(crate) async fn resume(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    control(
        state,
        request,
        id.into_inner(),
        "handler.resume",
        Control::Resume,
    )
    .await
}

/// Settles what waits for one handler without delivering it.
pub(crate) async fn skip(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    control(
        state,
        request,
        id.into_inner(),
        "handler.skip",
        Control::Skip,
    )
    .await
}

async fn control(
    state: web::Data<State>,
    request: HttpRequest,
    id: String,
    action: &'static str,
    control: Control,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let known = state.publisher.journal().stats().await?.handlers;
    if !known.iter().any(|handler| handler.handler == id) {
        return Err(unknown(&id));
    }
    let act = Act {
        action,
        subject: id.clone(),
        detail: json!({}),
    };
    let (data, key) = (state.clone(), by.key.clone());
    let done = recorded(&state, by, act, async move {
        take_control(&data, &id, control, &key).await
    });
    Ok(HttpResponse::Ok().json(done.await?))
}

/// The journal remembers it: a restart changes nothing, and every node follows.
async fn take_control(
    state: &State,
    id: &str,
    control: Control,
    by: &str,
) -> Result<Value, Problem> {
    let skipped = state.publisher.journal().control(id, control).await?;
    match control {
        Control::Pause => {
            state.handlers.pause(id);
            tracing::info!(handler.name = %id, api_key.id = by, "handler `{id}` is paused");
            Ok(json!({"id": id, "state": "paused"}))
        }
        Control::Resume => {
            state.handlers.resume(id);
            tracing::info!(handler.name = %id, api_key.id = by, "handler `{id}` goes on");
            Ok(json!({"id": id, "state": "running"}))
        }
        Control::Skip => {
            tracing::warn!(
                handler.name = %id, api_key.id = by, skipped,
                "handler `{id}` skips what was accepted until now"
            );
            Ok(json!({"id": id, "skipped": skipped}))
        }
    }
}

pub(super) fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(128).collect();
    Problem::not_found(
        "no-such-handler",
        format!("there is no handler `{id}`: see `GET /api/v1/handlers`"),
    )
}
