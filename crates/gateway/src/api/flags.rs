//! `/flags`: how the flags of plugins stand, and switching them.

use actix_web::{HttpRequest, HttpResponse, web};

use serde::Deserialize;
use serde_json::Value;

use super::operate::{answered, by};
use super::view::List;
use crate::Problem;
use crate::operator::{Area, Changes, Operation};
use crate::state::State;

/// A body here is a word and a sentence.
const MAX_BODY: usize = 16 * 1024;

/// How a flag is to stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
    #[serde(default)]
    comment: Option<String>,
}

/// Every flag of every plugin.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let items = state.flags.list();
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}

/// One of them.
pub(crate) async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let flag = state.flags.list().into_iter().find(|flag| flag.id == *id);
    let flag = flag.ok_or_else(|| unknown(&id))?;
    Ok(HttpResponse::Ok().json(flag))
}

/// Switches one, on every node that shares the database.
pub(crate) async fn set(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let expected = "how it is to stand: {\"on\": true, \"comment\": \"…\"}";
    let switch: Switch = super::read_json(&state, &request, payload, MAX_BODY, expected).await?;
    if !state.flags.list().iter().any(|flag| flag.id == *id) {
        return Err(unknown(&id));
    }
    let changes = change(&id, Value::Bool(switch.on), switch.comment);
    answered(&state, by, Operation::Change(Area::Flags, changes)).await
}

/// Lets it stand as the configuration file, or else its author, says. One that no plugin declares any more can be reset too.
pub(crate) async fn reset(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    // What can be no flag's id could end its key, and begin another.
    if !id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    {
        return Err(unknown(&id));
    }
    let changes = change(&id, Value::Null, None);
    answered(&state, by, Operation::Change(Area::Flags, changes)).await
}

fn change(id: &str, value: Value, comment: Option<String>) -> Changes {
    Changes {
        changes: [(format!("flags.\"{id}\""), value)].into(),
        comment,
    }
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(128).collect();
    Problem::not_found(
        "no-such-flag",
        format!("no plugin declares a flag `{id}`: see `GET /api/v1/flags`"),
    )
}
