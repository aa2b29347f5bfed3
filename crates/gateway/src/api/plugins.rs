//! `/plugins`: what is installed and how it is; installing, upgrading, switching off and taking away while the host runs.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;

use super::operate::{answered, by};
use super::query::Query;
use crate::operator::{Comment, Operation, Uninstall};
use crate::state::State;
use crate::{Problem, body};

/// A body here is names, paths and settings.
const MAX_BODY: usize = 256 * 1024;

/// Every installed plugin, on disk and loaded.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    answered(&state, by, Operation::Plugins).await
}

/// One of them.
pub(crate) async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    answered(&state, by, Operation::Plugin(name.into_inner())).await
}

/// Adds one.
pub(crate) async fn install(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let expected = "a plugin to install: {\"source\": \"/path/to/plugin.so\", …}";
    let install = super::read_json(&state, &request, payload, MAX_BODY, expected).await?;
    answered(&state, by, Operation::Install(install)).await
}

/// Takes one away: with `?confirmed=true` also if deliveries wait for it.
pub(crate) async fn uninstall(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let query = Query::read(&request, &["confirmed", "comment"])?;
    let truth = |text: &str| text.parse::<bool>().map_err(|_| "expected true or false");
    let uninstall = Uninstall {
        confirmed: query.parsed("confirmed", truth)?.unwrap_or(false),
        comment: query.text("comment"),
    };
    let operation = Operation::Uninstall(name.into_inner(), uninstall);
    answered(&state, by, operation).await
}

/// Upgrades one, rolls it back, switches it on or off, brings its file to this host.
pub(crate) async fn act(
    state: web::Data<State>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let (name, act) = path.into_inner();
    let operation = match act.as_str() {
        "upgrade" => {
            let expected = "an upgrade: {\"source\": \"/path/to/plugin.so\"}";
            let upgrade = super::read_json(&state, &request, payload, MAX_BODY, expected).await?;
            Operation::Upgrade(name, upgrade)
        }
        "bring" => {
            let expected = "the plugin's file: {\"source\": \"/path/to/plugin.so\"}";
            let bring = super::read_json(&state, &request, payload, MAX_BODY, expected).await?;
            Operation::Bring(name, bring)
        }
        "rollback" => Operation::RollBack(name, comment(&state, &request, payload).await?),
        "enable" => Operation::Enable(name, true, comment(&state, &request, payload).await?),
        "disable" => Operation::Enable(name, false, comment(&state, &request, payload).await?),
        _ => {
            let detail = "a plugin can be told to enable, disable, upgrade, rollback and bring";
            return Err(Problem::not_found("no-such-resource", detail));
        }
    };
    answered(&state, by, operation).await
}

async fn comment(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Comment, Problem> {
    optional(state, request, payload, "nothing, or {\"comment\": \"…\"}").await
}

/// A body that may be left out.
async fn optional<T: DeserializeOwned + Default>(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
    expected: &str,
) -> Result<T, Problem> {
    let body = body::read(request, payload, MAX_BODY, state.body_timeout).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("expected {expected}: {error}");
        Problem::bad_request("malformed-body", detail)
    })
}
