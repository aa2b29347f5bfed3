//! What operators change: who asks for it, and the answer.

use std::sync::Arc;

use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse};

use crate::Problem;
use crate::operator::{By, Operation};
use crate::state::State;

/// Who asks, and for which revision.
pub(super) fn by(state: &State, request: &HttpRequest) -> Result<By, Problem> {
    let key = state.keys.check(request)?.to_owned();
    let expected = match request.headers().get(IF_MATCH) {
        None => None,
        Some(value) if value == "*" => None,
        Some(value) => {
            let text = value.to_str().unwrap_or_default().trim();
            let number = text.trim_start_matches("W/").trim_matches('"').parse();
            Some(number.map_err(|_| {
                let detail =
                    "`If-Match`: expected the revision that the change is made for, such as \"12\"";
                Problem::bad_request("malformed-header", detail)
            })?)
        }
    };
    let address = request.peer_addr().map(|address| address.ip().to_string());
    Ok(By {
        key,
        address,
        expected,
    })
}

/// Has it done, and says what came of it.
pub(super) async fn answered(
    state: &State,
    by: By,
    operation: Operation,
) -> Result<HttpResponse, Problem> {
    let answer = Arc::clone(&state.operator).operate(by, operation).await?;
    let mut response = HttpResponse::Ok();
    if let Some(revision) = answer.revision {
        response.insert_header((ETAG, format!("\"{revision}\"")));
    }
    Ok(response.json(answer.body))
}
