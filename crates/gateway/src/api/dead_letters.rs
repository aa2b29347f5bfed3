//! `/dead-letters`: what was given up; giving one another chance, or none.

use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_journal::{DeadLetterQuery, DeliveryRecord, DeliveryState, Discard};
use coordinator_message::MessageId;
use serde_json::json;

use super::messages;
use super::operate::by;
use super::query::Query;
use super::recorded::{Act, recorded};
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
    let by = by(&state, &request)?;
    let id = messages::parse_id(&id)?;
    let wanted = messages::read_replay(&state, &request, payload).await?;
    let handlers = gave_up(&state, id, wanted.handler.as_deref()).await?;
    let act = Act {
        action: "dead-letter.replay",
        subject: id.to_string(),
        detail: json!({"to": handlers}),
    };
    let (data, key) = (state.clone(), by.key.clone());
    let done = recorded(&state, by, act, async move {
        let mut scheduled = 0;
        for handler in &handlers {
            scheduled += messages::again(&data, id, Some(handler), &key).await?;
        }
        Ok(json!({"scheduled": scheduled}))
    });
    Ok(HttpResponse::Accepted().json(done.await?))
}

/// Takes the dead letters of one message off the list, or that of the handler that is named.
pub(crate) async fn discard(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let id = messages::parse_id(&id)?;
    let wanted = messages::read_replay(&state, &request, payload).await?;
    let handlers = gave_up(&state, id, wanted.handler.as_deref()).await?;
    let act = Act {
        action: "dead-letter.discard",
        subject: id.to_string(),
        detail: json!({"to": handlers}),
    };
    let batch = handlers.into_iter().map(|handler| Discard {
        message: id,
        handler: Some(handler),
    });
    let (batch, data, key) = (batch.collect(), state.clone(), by.key.clone());
    let done = recorded(&state, by, act, async move {
        let discarded = messages::discard_all(&data, batch, &key).await?;
        Ok(json!({"discarded": discarded}))
    });
    Ok(HttpResponse::Ok().json(done.await?))
}

/// The handlers that gave the message up, of which only the one that is named counts. There is at least one.
async fn gave_up(state: &State, id: MessageId, only: Option<&str>) -> Result<Vec<String>, Problem> {
    let detail = state.publisher.journal().message(id).await?;
    let meant = |delivery: &DeliveryRecord| {
        delivery.state == DeliveryState::Dead && only.is_none_or(|only| delivery.handler == only)
    };
    let deliveries = detail.map(|detail| detail.deliveries).unwrap_or_default();
    let handlers: Vec<String> = deliveries
        .into_iter()
        .filter(meant)
        .map(|delivery| delivery.handler)
        .collect();
    if handlers.is_empty() {
        let detail = format!("no handler has given up `{id}`: see `GET /api/v1/dead-letters`");
        return Err(Problem::not_found("no-such-dead-letter", detail));
    }
    Ok(handlers)
}
