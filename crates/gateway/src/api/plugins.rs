//! `/plugins`: what is installed, and how it is.

use actix_web::{HttpRequest, HttpResponse, web};

use super::view::List;
use crate::Problem;
use crate::state::State;

/// Every installed plugin.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    Ok(HttpResponse::Ok().json(List {
        items: state.plugins.clone(),
        next: None,
    }))
}
