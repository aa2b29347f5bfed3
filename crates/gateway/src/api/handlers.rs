//! `/handlers`: how far each one is, and stopping and starting it.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;

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
    dead: u64,
    oldest_s: Option<u64>,
    terms: Option<Terms>,
}

#[derive(Serialize)]
struct Terms {
    max_attempts: u32,
    backoff_ms: [u64; 2],
    timeout_ms: u64,
    concurrency: u32,
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
            timeout_ms: millis(view.terms.timeout),
            concurrency: view.terms.concurrency,
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
                Some(view) => view.state,
                None if handler.open => "waiting",
                None => "removed",
            },
            lag: handler.lag,
            running: handler.running,
            retrying: handler.retrying,
            dead: handler.dead,
            oldest_s: handler.oldest.map(|age| age.as_secs()),
            terms: view.map(Terms::of),
            id: handler.handler,
        }
    });
    Ok(HttpResponse::Ok().json(List {
        items: items.collect(),
        next: None,
    }))
}

/// Stops new deliveries of one handler.
pub(crate) async fn pause(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let by = state.keys.check(&request)?;
    if !state.handlers.pause(&id) {
        return Err(unknown(&id));
    }
    tracing::info!(handler.name = %id, api_key.id = by, "handler `{id}` is paused");
    Ok(HttpResponse::Ok().json(json!({"id": *id, "state": "paused"})))
}

/// Goes on with one handler.
pub(crate) async fn resume(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let by = state.keys.check(&request)?;
    if !state.handlers.resume(&id) {
        return Err(unknown(&id));
    }
    tracing::info!(handler.name = %id, api_key.id = by, "handler `{id}` goes on");
    Ok(HttpResponse::Ok().json(json!({"id": *id, "state": "running"})))
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(128).collect();
    Problem::not_found(
        "no-such-handler",
        format!("no handler `{id}` is bound: see `GET /api/v1/handlers`"),
    )
}
