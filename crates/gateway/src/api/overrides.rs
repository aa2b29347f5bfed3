//! `/wiring` and `/settings/{plugin}`: what is in force, what operators set over the configuration file, and how it
//! came to be.

use actix_web::{HttpRequest, HttpResponse, web};

use super::operate::{answered, by};
use super::query::Query;
use crate::Problem;
use crate::operator::{Area, Operation, Paging};
use crate::state::State;

/// A body here is keys and values.
const MAX_BODY: usize = 256 * 1024;
const CHANGES: &str = "changes: {\"changes\": {\"KEY\": VALUE or null}, \"comment\": \"…\"}";
const REVERT: &str = "a revision: {\"revision\": 12}";

/// The plugin that the path names; without one it is the wiring.
type Name = Option<web::Path<String>>;

fn area(name: Name) -> Area {
    name.map_or(Area::Wiring, |name| Area::Settings(name.into_inner()))
}

pub(crate) async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    name: Name,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    answered(&state, by, Operation::Show(area(name))).await
}

pub(crate) async fn change(
    state: web::Data<State>,
    request: HttpRequest,
    name: Name,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let changes = super::read_json(&state, &request, payload, MAX_BODY, CHANGES).await?;
    answered(&state, by, Operation::Change(area(name), changes)).await
}

pub(crate) async fn history(
    state: web::Data<State>,
    request: HttpRequest,
    name: Name,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let query = Query::read(&request, &["limit", "cursor"])?;
    let paging = Paging {
        cursor: query.text("cursor"),
        limit: query.limit()?,
    };
    answered(&state, by, Operation::History(area(name), paging)).await
}

pub(crate) async fn revert(
    state: web::Data<State>,
    request: HttpRequest,
    name: Name,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let revert = super::read_json(&state, &request, payload, MAX_BODY, REVERT).await?;
    answered(&state, by, Operation::Revert(area(name), revert)).await
}
