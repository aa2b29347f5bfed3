//! The LMS: takes enrolment calls, obeys the rules of misbehaviour, and keeps the ledger.

mod enrolment;

use std::fmt;
use std::net::Shutdown;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::Outside;
use crate::behaviour::Answer;
use crate::ledger::{Asked, Outcome};
use crate::server::Line;
use enrolment::{Enrolment, Reply};

/// Where the LMS takes enrolments; a trailing slash is tolerated.
const ENROLMENT_PATH: &str = "/api/enrollment/v1/enrollment";

/// What the LMS asks of its callers.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`
    Bearer(String),
    /// `X-Edx-Api-Key: …`
    EdxApiKey(String),
}

impl Credential {
    fn admits(&self, request: &HttpRequest) -> bool {
        let (name, expected) = match self {
            Self::Bearer(token) => ("authorization", format!("Bearer {token}")),
            Self::EdxApiKey(key) => ("x-edx-api-key", key.clone()),
        };
        header_text(request, name) == Some(&expected)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::EdxApiKey(_) => "EdxApiKey(…)",
        })
    }
}

/// Every request that is not for the control API.
pub(crate) async fn receive(
    request: HttpRequest,
    body: web::Bytes,
    outside: web::Data<Outside>,
) -> HttpResponse {
    let asked = read(&request, &body);
    let seq = outside.ledger.open(asked.clone());
    let answer = outside.behaviour.answer_for(&asked).unwrap_or_default();
    if let Some(delay) = answer.delay_ms {
        actix_web::rt::time::sleep(Duration::from_millis(delay)).await;
    }
    let misbehaves = answer.status.is_some() || answer.hang || answer.reset;
    let reply = if misbehaves && !answer.enrol_first {
        None
    } else {
        Some(work(&request, &body, &asked, &outside, seq))
    };
    match reply {
        Some(reply) if !misbehaves => {
            outside
                .ledger
                .close(seq, Outcome::Answered, Some(reply.status));
            respond(&reply, answer.retry_after)
        }
        _ => misbehave(&answer, &request, &outside, seq).await,
    }
}

/// What the request asks for, read as far as it goes: also a bad request is written down.
fn read(request: &HttpRequest, body: &[u8]) -> Asked {
    let enrolment = Enrolment::glance(body);
    Asked {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        idempotency_key: header_text(request, "idempotency-key").map(str::to_owned),
        ..enrolment
    }
}

/// The LMS at work.
fn work(request: &HttpRequest, body: &[u8], asked: &Asked, outside: &Outside, seq: u64) -> Reply {
    if request.path().trim_end_matches('/') != ENROLMENT_PATH {
        return Reply::refusal(404, "Not found.");
    }
    if request.method() != Method::POST {
        return Reply::refusal(405, "Only POST is played here.");
    }
    if !outside.credential.admits(request) {
        return Reply::refusal(
            401,
            "Authentication credentials were not provided or are wrong.",
        );
    }
    // The real LMS does not ask for it. Ours does, so that a caller who forgets it is found out.
    let Some(key) = asked
        .idempotency_key
        .as_deref()
        .filter(|key| !key.is_empty())
    else {
        return Reply::refusal(400, "The header Idempotency-Key is missing.");
    };
    match Enrolment::try_new(body) {
        Ok(enrolment) => {
            outside
                .ledger
                .enrol(seq, &enrolment.user, &enrolment.course, key);
            enrolment.confirm()
        }
        Err(reply) => reply,
    }
}

async fn misbehave(
    answer: &Answer,
    request: &HttpRequest,
    outside: &Outside,
    seq: u64,
) -> HttpResponse {
    if answer.hang {
        outside.ledger.close(seq, Outcome::Hung, None);
        return std::future::pending().await;
    }
    if let Some(status) = answer.status {
        outside.ledger.close(seq, Outcome::Answered, Some(status));
        return respond(
            &Reply::refusal(status, "The sandbox was told to answer so."),
            answer.retry_after,
        );
    }
    outside.ledger.close(seq, Outcome::Closed, None);
    if let Some(Line(line)) = request.conn_data() {
        // The caller may have closed it first, which is the same to us.
        drop(line.shutdown(Shutdown::Both));
    }
    HttpResponse::InternalServerError().force_close().finish()
}

fn respond(reply: &Reply, retry_after: Option<u32>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    match &reply.body {
        Ok(body) => response.json(body),
        Err(message) => response.json(json!({ "message": message })),
    }
}

fn header_text<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
