//! `POST /messages`: CloudEvents in, receipts out. 202 means durable; a batch is all or nothing.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_abi::call::PublishItem;
use coordinator_context::{Origin, Refused};
use coordinator_journal::{Durability, NewMessage, Receipt, ReceiptStatus};
use coordinator_message::{MessageId, Timestamp};
use coordinator_wiring::ValidateError;
use serde::Serialize;
use serde_json::json;

use crate::cloudevents::{self, Event};
use crate::plugin_route::trace_of;
use crate::state::State;
use crate::{Problem, body};

#[derive(Serialize)]
struct ReceiptView {
    id: MessageId,
    status: ReceiptStatus,
    durability: Durability,
}

/// Accepts one message or a batch.
pub(crate) async fn publish(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = state.keys.check(&request)?.to_owned();
    let body = body::read(&request, payload, state.body_limit, state.body_timeout).await?;
    let events = cloudevents::read(&request, &body)?;
    let header = idempotency_key(&request)?;
    if header.is_some() && events.len() > 1 {
        let detail = "`Idempotency-Key` names one message: in a batch, each event's `source` and `id` are its key";
        return Err(Problem::bad_request("idempotency-key", detail));
    }
    let origin = Origin {
        publisher: format!("key/{by}"),
        source: format!("/keys/{by}"),
        trace: Some(trace_of(&request)),
    };
    let mut batch = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        let key = header.clone().or_else(|| event_key(&event));
        batch.push(prepare(&state, event, key, &origin).map_err(|problem| problem.index(index))?);
    }
    let receipts = state.publisher.publish(batch).await?;
    answer(&receipts)
}

/// CloudEvents: `source` and `id` together name an event.
fn event_key(event: &Event) -> Option<String> {
    let id = event.id.as_deref()?;
    Some(match &event.source {
        Some(source) => format!("{source} {id}"),
        None => id.to_owned(),
    })
}

/// The header, if it was sent. One that cannot be read must not be passed over: the sender counts on it.
fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() => Ok(Some(key.to_owned())),
        _ => {
            let detail = "`Idempotency-Key` is empty, or not visible ASCII";
            Err(Problem::bad_request("idempotency-key", detail))
        }
    }
}

fn prepare(
    state: &State,
    event: Event,
    key: Option<String>,
    origin: &Origin,
) -> Result<NewMessage, Problem> {
    let now = Timestamp::now();
    let item = PublishItem {
        ty: event.ty,
        lane: None,
        key: event.key,
        idempotency_key: key,
        subject: event.subject,
        deliver_at_ms: event.deliver_at.map(Timestamp::as_millis),
    };
    let origin = Origin {
        source: event.source.unwrap_or_else(|| origin.source.clone()),
        ..origin.clone()
    };
    let time = event.time.unwrap_or(now);
    state
        .publisher
        .prepare(item, event.data, &origin, MessageId::new(now), time)
        .map_err(|refused| problem(&refused))
}

fn problem(refused: &Refused) -> Problem {
    match refused {
        Refused::MalformedType(error) => Problem::bad_request("malformed-type", error.to_string()),
        Refused::Invalid(error @ ValidateError::UnknownType(_)) => {
            Problem::not_found("unknown-type", error.to_string())
        }
        Refused::Invalid(error @ ValidateError::NotJson(_)) => {
            Problem::bad_request("malformed-event", error.to_string())
        }
        Refused::Invalid(ValidateError::Mismatch(mismatch)) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "schema-mismatch",
            mismatch.to_string(),
        )
        .pointer(mismatch.pointer.clone()),
        Refused::TooFarAhead { .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "deliver-at-too-far",
            format!("`deliverat`: {refused}"),
        ),
    }
}

/// A key that was used for another payload is the sender's mistake; the others of its batch stand.
fn answer(receipts: &[Receipt]) -> Result<HttpResponse, Problem> {
    if let Some(index) = receipts
        .iter()
        .position(|receipt| receipt.status == ReceiptStatus::Conflict)
        && receipts.len() == 1
    {
        let detail = format!(
            "the idempotency key was used before for `{}`, with another payload",
            receipts[index].id
        );
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-conflict",
            detail,
        ));
    }
    let view = |receipt: &Receipt| ReceiptView {
        id: receipt.id,
        status: receipt.status,
        durability: receipt.durability,
    };
    let receipts: Vec<ReceiptView> = receipts.iter().map(view).collect();
    Ok(HttpResponse::Accepted().json(json!({"receipts": receipts})))
}
