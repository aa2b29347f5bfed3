//! `/messages`: list, show, replay and discard one.

use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_journal::{Discard, MessageQuery, MessageState, Replay, Replayed};
use coordinator_message::MessageId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operate::by;
use super::query::Query;
use super::recorded::{Act, recorded};
use super::view::{DetailView, List, MessageView};
use crate::state::State;
use crate::{Problem, body};

const FILTERS: [&str; 12] = [
    "type",
    "state",
    "handler",
    "key",
    "correlation",
    "source",
    "plugin",
    "q",
    "since",
    "until",
    "limit",
    "cursor",
];

/// A page of messages, newest first.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let query = Query::read(&request, &FILTERS)?;
    let query = MessageQuery {
        ty: query.parsed("type", str::parse)?,
        state: query.parsed("state", parse_state)?,
        handler: query.text("handler"),
        key: query.text("key"),
        correlation: query.parsed("correlation", str::parse)?,
        since: query.time("since")?,
        until: query.time("until")?,
        source: source(&query)?,
        text: query.text("q"),
        oldest_first: false,
        cursor: query.text("cursor"),
        limit: query.limit()?,
    };
    let page = state.publisher.journal().messages(query).await?;
    let items = page.items.iter().map(MessageView::from).collect();
    Ok(HttpResponse::Ok().json(List {
        items,
        next: page.next,
    }))
}

/// `plugin=stripe` is `source=/plugins/stripe`.
fn source(query: &Query) -> Result<Option<String>, Problem> {
    let plugin = query.text("plugin").map(|name| format!("/plugins/{name}"));
    match (query.text("source"), plugin) {
        (Some(_), Some(_)) => {
            let detail = "`plugin`: it is another word for a `source`: give one of them";
            Err(Problem::bad_request("malformed-parameter", detail))
        }
        (source, plugin) => Ok(source.or(plugin)),
    }
}

/// One message in full.
pub(crate) async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let id = parse_id(&id)?;
    match state.publisher.journal().message(id).await? {
        Some(detail) => Ok(HttpResponse::Ok().json(DetailView::from(detail))),
        None => Err(unknown(id)),
    }
}

/// `{"handler": "lms.enrol"}`, or nothing for every handler.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    pub(super) handler: Option<String>,
}

/// Delivers one message again.
pub(crate) async fn replay(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let id = parse_id(&id)?;
    let wanted = read_replay(&state, &request, payload).await?;
    if state.publisher.journal().message(id).await?.is_none() {
        return Err(unknown(id));
    }
    let act = Act {
        action: "message.replay",
        subject: id.to_string(),
        detail: json!({"to": to(wanted.handler.as_deref())}),
    };
    let (data, key) = (state.clone(), by.key.clone());
    let done = recorded(&state, by, act, async move {
        let scheduled = again(&data, id, wanted.handler.as_deref(), &key).await?;
        Ok(json!({"scheduled": scheduled}))
    });
    Ok(HttpResponse::Accepted().json(done.await?))
}

/// Settles one message without delivering it.
pub(crate) async fn discard(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let id = parse_id(&id)?;
    let wanted = read_replay(&state, &request, payload).await?;
    if state.publisher.journal().message(id).await?.is_none() {
        return Err(unknown(id));
    }
    let act = Act {
        action: "message.discard",
        subject: id.to_string(),
        detail: json!({"to": to(wanted.handler.as_deref())}),
    };
    let discard = Discard {
        message: id,
        handler: wanted.handler,
    };
    let (data, key) = (state.clone(), by.key.clone());
    let done = recorded(&state, by, act, async move {
        let discarded = discard_all(&data, vec![discard], &key).await?;
        if discarded == 0 {
            let detail = format!("every delivery of `{id}` is settled, or running now");
            return Err(Problem::conflict("nothing-to-discard", detail));
        }
        Ok(json!({"discarded": discarded}))
    });
    Ok(HttpResponse::Ok().json(done.await?))
}

/// To whom, as the audit log has it.
pub(super) fn to(handler: Option<&str>) -> Value {
    handler.unwrap_or("every handler").into()
}

/// Of one message; answers how many deliveries that were.
pub(super) async fn discard_all(
    state: &State,
    batch: Vec<Discard>,
    by: &str,
) -> Result<u64, Problem> {
    let first = batch.first().map(|discard| discard.message);
    let discarded = state.publisher.journal().discard(batch).await?;
    let discarded: u64 = discarded.iter().sum();
    if let (Some(id), 1..) = (first, discarded) {
        tracing::info!(
            cloudevents.event_id = %id, api_key.id = by, discarded,
            "`{id}` is not delivered: {discarded} deliveries were discarded"
        );
    }
    Ok(discarded)
}

pub(super) async fn read_replay(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<ReplayRequest, Problem> {
    let body = body::read(request, payload, 4 * 1024, state.body_timeout).await?;
    if body.is_empty() {
        return Ok(ReplayRequest::default());
    }
    serde_json::from_slice(&body).map_err(|error| {
        let detail =
            format!("expected `{{\"handler\": \"instance.handler\"}}` or nothing: {error}");
        Problem::bad_request("malformed-body", detail)
    })
}

pub(super) async fn again(
    state: &State,
    id: MessageId,
    handler: Option<&str>,
    by: &str,
) -> Result<u64, Problem> {
    let replay = Replay {
        message: id,
        handler: handler.map(str::to_owned),
        due: None,
    };
    match state.publisher.journal().replay(vec![replay]).await?[..] {
        [Replayed::Scheduled(scheduled)] => {
            let handler = handler.unwrap_or("every handler");
            tracing::info!(
                cloudevents.event_id = %id, handler.name = handler, api_key.id = by, scheduled,
                "`{id}` is delivered again to {handler}"
            );
            Ok(scheduled)
        }
        [Replayed::PayloadDropped] => Err(Problem::conflict(
            "payload-dropped",
            format!("the payload of `{id}` was dropped when it was settled (`journal.payloads`)"),
        )),
        _ => Err(unknown(id)),
    }
}

pub(super) fn parse_id(text: &str) -> Result<MessageId, Problem> {
    text.parse::<MessageId>()
        .map_err(|error| Problem::bad_request("malformed-id", error.to_string()))
}

fn unknown(id: MessageId) -> Problem {
    let detail = format!(
        "message `{id}` is not in the journal (any more), or that handler does not take it"
    );
    Problem::not_found("no-such-message", detail)
}

fn parse_state(text: &str) -> Result<MessageState, String> {
    match text {
        "unhandled" => Ok(MessageState::Unhandled),
        "acked" => Ok(MessageState::Acked),
        "pending" => Ok(MessageState::Pending),
        "retrying" => Ok(MessageState::Retrying),
        "parked" => Ok(MessageState::Parked),
        "delayed" => Ok(MessageState::Delayed),
        "dead" => Ok(MessageState::Dead),
        _ => {
            Err("expected delayed, unhandled, acked, pending, retrying, parked or dead".to_owned())
        }
    }
}
