//! `/api/v1`: what operators and frontends call. Every answer needs an API key.

mod dead_letters;
mod handlers;
mod messages;
mod plugins;
mod publish;
mod query;
mod view;

use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, web};

use crate::Problem;

/// The paths of the API.
pub(crate) fn configure(scope: &mut web::ServiceConfig) {
    let messages = [
        web::get().to(messages::list),
        web::post().to(publish::publish),
    ];
    let show = [web::get().to(messages::show)];
    let replay = [web::post().to(messages::replay)];
    let dead_letters = [web::get().to(dead_letters::list)];
    let replay_dead = [web::post().to(dead_letters::replay)];
    let handlers = [web::get().to(handlers::list)];
    let pause = [web::post().to(handlers::pause)];
    let resume = [web::post().to(handlers::resume)];
    let plugins = [web::get().to(plugins::list)];
    scope
        .service(resource("/messages", "GET, POST", messages))
        .service(resource("/messages/{id}", "GET", show))
        .service(resource("/messages/{id}/replay", "POST", replay))
        .service(resource("/dead-letters", "GET", dead_letters))
        .service(resource("/dead-letters/{id}/replay", "POST", replay_dead))
        .service(resource("/handlers", "GET", handlers))
        .service(resource("/handlers/{id}/pause", "POST", pause))
        .service(resource("/handlers/{id}/resume", "POST", resume))
        .service(resource("/plugins", "GET", plugins))
        .default_service(web::to(nothing));
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

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(
        "no-such-resource",
        "the API has nothing at this path and method",
    ))
}
