//! `/api/v1`: what operators and frontends call. Every answer needs an API key.

mod audit;
mod commands;
mod dead_letters;
mod flags;
mod handlers;
mod messages;
mod operate;
mod overrides;
mod pipelines;
mod plugins;
mod publish;
mod query;
mod recorded;
mod schedules;
mod selected;
mod tail;
mod view;

use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, web};
use serde::de::DeserializeOwned;

use crate::state::State;
use crate::{Problem, body};

/// The paths of the API.
pub(crate) fn configure(scope: &mut web::ServiceConfig) {
    let messages = [
        web::get().to(messages::list),
        web::post().to(publish::publish),
    ];
    let get = |path, route: Route| resource(path, "GET", [route]);
    let post = |path, route: Route| resource(path, "POST", [route]);
    scope
        .service(resource("/messages", "GET, POST", messages))
        .service(get("/messages/tail", web::get().to(tail::tail)))
        .service(get("/messages/{id}", web::get().to(messages::show)))
        .service(post(
            "/messages/{id}/replay",
            web::post().to(messages::replay),
        ))
        .service(post(
            "/messages/{id}/discard",
            web::post().to(messages::discard),
        ))
        .service(post("/replays", web::post().to(selected::replay)))
        .service(get("/dead-letters", web::get().to(dead_letters::list)))
        .service(post(
            "/dead-letters/replay",
            web::post().to(selected::replay_dead),
        ))
        .service(post(
            "/dead-letters/discard",
            web::post().to(selected::discard_dead),
        ))
        .service(post(
            "/dead-letters/{id}/replay",
            web::post().to(dead_letters::replay),
        ))
        .service(post(
            "/dead-letters/{id}/discard",
            web::post().to(dead_letters::discard),
        ))
        .service(get("/handlers", web::get().to(handlers::list)))
        .service(post(
            "/handlers/{id}/pause",
            web::post().to(handlers::pause),
        ))
        .service(post(
            "/handlers/{id}/resume",
            web::post().to(handlers::resume),
        ))
        .service(post("/handlers/{id}/skip", web::post().to(handlers::skip)))
        .service(get("/audit", web::get().to(audit::list)))
        .service(get("/audit/verification", web::get().to(audit::verify)))
        .service(get("/schedules", web::get().to(schedules::list)))
        .configure(ask_plugins)
        .configure(operate_on)
        .default_service(web::to(nothing));
}

/// What is asked of plugins by name: pipelines, commands, flags.
fn ask_plugins(scope: &mut web::ServiceConfig) {
    let flag = [
        web::get().to(flags::show),
        web::put().to(flags::set),
        web::delete().to(flags::reset),
    ];
    let get = |path, route: Route| resource(path, "GET", [route]);
    let post = |path, route: Route| resource(path, "POST", [route]);
    scope
        .service(get("/pipelines", web::get().to(pipelines::list)))
        .service(post("/pipelines/{name}", web::post().to(pipelines::run)))
        .service(get("/flags", web::get().to(flags::list)))
        .service(resource("/flags/{id}", "GET, PUT, DELETE", flag))
        .service(get(
            "/plugins/{instance}/commands",
            web::get().to(commands::list),
        ))
        .service(post(
            "/plugins/{instance}/commands/{name}",
            web::post().to(commands::run),
        ));
}

/// Plugins, wiring and settings, which operators change while the host runs.
fn operate_on(scope: &mut web::ServiceConfig) {
    let get = |path: &str, route: Route| resource(path, "GET", [route]);
    let post = |path: &str, route: Route| resource(path, "POST", [route]);
    let plugins = [
        web::get().to(plugins::list),
        web::post().to(plugins::install),
    ];
    let plugin = [
        web::get().to(plugins::show),
        web::delete().to(plugins::uninstall),
    ];
    scope
        .service(resource("/plugins", "GET, POST", plugins))
        .service(resource("/plugins/{name}", "GET, DELETE", plugin))
        .service(post("/plugins/{name}/{act}", web::post().to(plugins::act)));
    for path in ["/wiring", "/settings/{plugin}"] {
        let overrides = [
            web::get().to(overrides::show),
            web::patch().to(overrides::change),
        ];
        scope
            .service(resource(path, "GET, PATCH", overrides))
            .service(get(
                &format!("{path}/history"),
                web::get().to(overrides::history),
            ))
            .service(post(
                &format!("{path}/revert"),
                web::post().to(overrides::revert),
            ));
    }
}

/// A path of the host, which says to other methods which ones there are.
pub(crate) fn resource<const N: usize>(
    path: &str,
    allow: &'static str,
    routes: [Route; N],
) -> Resource {
    let others = move |request: HttpRequest| async move {
        let method = request.method().as_str();
        Problem::wrong_method(request.path(), method, allow).error_response()
    };
    let resource = web::resource(path).default_service(web::to(others));
    routes.into_iter().fold(resource, Resource::route)
}

/// A body of JSON; `expected` says to who sent another what it should be.
async fn read_json<T: DeserializeOwned>(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
    expected: &str,
) -> Result<T, Problem> {
    let body = body::read(request, payload, limit, state.body_timeout).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("expected {expected}: {error}");
        Problem::bad_request("malformed-body", detail)
    })
}

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(
        "no-such-resource",
        "the API has nothing at this path and method",
    ))
}
