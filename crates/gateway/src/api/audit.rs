//! `/audit`: who did what, and whether the log is whole.

use actix_web::{HttpRequest, HttpResponse, web};

use super::operate::{answered, by};
use super::query::Query;
use crate::Problem;
use crate::operator::{AuditFilter, Operation, Paging};
use crate::state::State;

const FILTERS: [&str; 7] = [
    "actor", "action", "subject", "since", "until", "limit", "cursor",
];

/// A page of entries, newest first.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let query = Query::read(&request, &FILTERS)?;
    let filter = AuditFilter {
        actor: query.text("actor"),
        action: query.text("action"),
        subject: query.text("subject"),
        since: query.time("since")?,
        until: query.time("until")?,
        paging: Paging {
            cursor: query.text("cursor"),
            limit: query.limit()?,
        },
    };
    answered(&state, by, Operation::Audit(filter)).await
}

/// Reads every entry, and says which is the first that does not hold.
pub(crate) async fn verify(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let query = Query::read(&request, &["head"])?;
    let head = query.parsed("head", parse_head)?;
    answered(&state, by, Operation::VerifyAudit(head)).await
}

fn parse_head(text: &str) -> Result<(u64, String), &'static str> {
    let parsed = text.split_once(':').and_then(|(rows, hash)| {
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let rows = rows.parse().ok().filter(|rows| *rows > 0 && is_hash)?;
        Some((rows, hash.to_ascii_lowercase()))
    });
    parsed.ok_or("expected ROWS:HASH, as `coordinator audit verify` has said")
}
