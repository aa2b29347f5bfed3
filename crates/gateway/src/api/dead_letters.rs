//! `/dead-letters`: what was given up, and giving it another chance.

use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_journal::{DeadLetterQuery, DeliveryRecord, DeliveryState};
use serde_json::json;

use super::messages;
use super::query::Query;
use super::view::{DeadLetterView, List};
use crate::Problem;
use crate::state::State;

const FILTERS: [&str; 6] = ["handler", "type", "since", "until", "limit", "cursor"];

/// A page of dead letters, newest first.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let query = Query::read(&request, &FILTERS)?;
    let query = DeadLetterQuery {
        handler: query.text("handler"),
        ty: query.parsed("type", str::parse)?,
        since: query.time("since")?,
        until: query.time("until")?,
        cursor: query.text("cursor"),
        limit: query.limit()?,
    };
    let page = state.publisher.journal().dead_letters(query).await?;
    let items = page.items.into_iter().map(DeadLetterView::from).collect();
    Ok(HttpResponse::Ok().json(List {
        items,
        next: page.next,
    }))
}

/// Delivers the message again to the handlers that gave it up, or to the one that is named.
pub(crate) async fn replay(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = state.keys.check(&request)?.to_owned();
    let id = messages::parse_id(&id)?;
    let wanted = messages::read_replay(&state, &request, payload).await?;
    let detail = state.publisher.journal().message(id).await?;
    let dead = |delivery: &DeliveryRecord| delivery.state == DeliveryState::Dead;
    let deliveries = detail.map(|detail| detail.deliveries).unwrap_or_default();
    let dead: Vec<String> = deliveries
        .into_iter()
        .filter(dead)
        .map(|delivery| delivery.handler)
        .collect();
    let chosen: Vec<&String> = match &wanted.handler {
        Some(handler) => dead.iter().filter(|dead| *dead == handler).collect(),
        None => dead.iter().collect(),
    };
    if chosen.is_empty() {
        let detail = format!("no handler has given up `{id}`: see `GET /api/v1/dead-letters`");
        return Err(Problem::not_found("no-such-dead-letter", detail));
    }
    let mut scheduled = 0;
    for handler in chosen {
        scheduled += messages::again(&state, id, Some(handler), &by).await?;
    }
    Ok(HttpResponse::Accepted().json(json!({"scheduled": scheduled})))
}
