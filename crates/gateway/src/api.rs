//! `/api/v1`: what operators and frontends call. Every answer needs an API key.

mod dead_letters;
mod handlers;
mod messages;
mod plugins;
mod publish;
mod query;
mod view;

use actix_web::{HttpResponse, web};

use crate::Problem;

/// The paths of the API.
pub(crate) fn configure(scope: &mut web::ServiceConfig) {
    scope
        .service(
            web::resource("/messages")
                .route(web::get().to(messages::list))
                .route(web::post().to(publish::publish)),
        )
        .route("/messages/{id}", web::get().to(messages::show))
        .route("/messages/{id}/replay", web::post().to(messages::replay))
        .route("/dead-letters", web::get().to(dead_letters::list))
        .route(
            "/dead-letters/{id}/replay",
            web::post().to(dead_letters::replay),
        )
        .route("/handlers", web::get().to(handlers::list))
        .route("/handlers/{id}/pause", web::post().to(handlers::pause))
        .route("/handlers/{id}/resume", web::post().to(handlers::resume))
        .route("/plugins", web::get().to(plugins::list))
        .default_service(web::to(nothing));
}

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(
        "no-such-resource",
        "the API has nothing at this path and method",
    ))
}
