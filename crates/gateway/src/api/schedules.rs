//! `/schedules`: what the clock publishes, and when.

use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_message::Timestamp;
use serde::Serialize;

use super::view::List;
use crate::Problem;
use crate::state::{ScheduleEntry, State};

#[derive(Serialize)]
struct ScheduleView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    cron: &'a str,
    zone: &'a str,
    missed: &'a str,
    enabled: bool,
    /// A new schedule begins with the time that it was first seen.
    last: Option<Timestamp>,
    next: Option<Timestamp>,
}

/// Every schedule of the wiring.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let now = Timestamp::now();
    let live = state.live.load();
    let mut items = Vec::with_capacity(live.schedules.len());
    for schedule in &live.schedules {
        let ScheduleEntry {
            name,
            ty,
            cron,
            zone,
            missed,
            enabled,
            next,
        } = schedule;
        items.push(ScheduleView {
            name,
            ty,
            cron,
            zone,
            missed,
            enabled: *enabled,
            last: state.publisher.journal().last_tick(name).await?,
            next: next(now).filter(|_| *enabled),
        });
    }
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}
