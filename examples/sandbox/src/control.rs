//! The sandbox's own API under `/_control`: the ledger, the rules of misbehaviour, and orders to Stripe.

use std::fmt;

use actix_web::dev::HttpServiceFactory;
use actix_web::{HttpResponse, error, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::behaviour::Rule;
use crate::{Outside, stripe};

/// Entries of a ledger page when nothing is asked, and at most.
const PAGE_LIMITS: (usize, usize) = (100, 10_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<Rule>,
}

pub(crate) fn scope() -> impl HttpServiceFactory {
    web::scope("/_control")
        .app_data(web::JsonConfig::default().error_handler(|error, _| refuse(error)))
        .app_data(web::QueryConfig::default().error_handler(|error, _| refuse(error)))
        .route("/healthz", web::get().to(healthz))
        .route("/ledger", web::get().to(ledger))
        .route("/ledger", web::delete().to(clear))
        .route("/behaviour", web::get().to(behaviour))
        .route("/behaviour", web::put().to(behave))
        .route("/stripe/send", web::post().to(send))
        .default_service(web::to(|| async {
            HttpResponse::NotFound().json(json!({ "error": "no such control" }))
        }))
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn ledger(query: web::Query<LedgerQuery>, outside: web::Data<Outside>) -> HttpResponse {
    let (default, most) = PAGE_LIMITS;
    let limit = query.limit.unwrap_or(default).clamp(1, most);
    HttpResponse::Ok().json(outside.ledger.page(query.after, limit))
}

async fn clear(outside: web::Data<Outside>) -> HttpResponse {
    outside.ledger.clear();
    HttpResponse::NoContent().finish()
}

async fn behaviour(outside: web::Data<Outside>) -> HttpResponse {
    HttpResponse::Ok().json(Rules {
        rules: outside.behaviour.rules(),
    })
}

async fn behave(
    rules: web::Json<Rules>,
    outside: web::Data<Outside>,
) -> Result<HttpResponse, error::Error> {
    outside
        .behaviour
        .replace(rules.into_inner().rules)
        .map_err(refuse)?;
    Ok(behaviour(outside).await)
}

async fn send(
    order: web::Json<stripe::SendOrder>,
    outside: web::Data<Outside>,
) -> Result<HttpResponse, error::Error> {
    let first = outside.number_events(order.count.into());
    let report = stripe::send(&order, first).await.map_err(refuse)?;
    Ok(HttpResponse::Ok().json(report))
}

/// 400 with the reason: the caller is a person or a test.
fn refuse(reason: impl fmt::Display) -> error::Error {
    let body = json!({ "error": reason.to_string() });
    error::InternalError::from_response("refused", HttpResponse::BadRequest().json(body)).into()
}
