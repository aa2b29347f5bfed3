//! Replaying and discarding many: `POST /replays`, `/dead-letters/replay`, `/dead-letters/discard`.
//!
//! A dry run counts and freezes: its `plan`, sent back, does exactly what was counted.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coordinator_journal::{
    Broken, Chosen, DeadLetterFilter, Journal, MOST_DELIVERIES, Pace, Plan, Selection,
    SelectionError,
};
use coordinator_message::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operate::by;
use super::recorded::{Act, recorded};
use super::{messages, read_json};
use crate::Problem;
use crate::operator::By;
use crate::problem::Chain;
use crate::state::State;

/// A thousand ids, with room.
const BODY_LIMIT: usize = 128 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayWanted {
    select: Option<Selection>,
    plan: Option<String>,
    handler: Option<String>,
    rate: Option<NonZeroU32>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLettersWanted {
    filter: Option<DeadLetterFilter>,
    plan: Option<String>,
    rate: Option<NonZeroU32>,
    #[serde(default)]
    dry_run: bool,
}

/// What is done with what is chosen.
#[derive(Clone, Copy)]
enum Deed {
    Count,
    Replay(Option<NonZeroU32>),
    Discard,
}

/// Delivers what is selected again.
pub(crate) async fn replay(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let expected = "`{\"select\": {\"messages\": […]} | {\"filter\": {…}} | {\"dead_letters\": {…}}}`, or `{\"plan\": …}`, with `handler`, `rate` and `dry_run`";
    let wanted: ReplayWanted = read_json(&state, &request, payload, BODY_LIMIT, expected).await?;
    if wanted.plan.is_some() && wanted.handler.is_some() {
        let detail = "a plan has its handler already: leave `handler` away";
        return Err(Problem::bad_request("malformed-body", detail));
    }
    let plan = planned(wanted.select, wanted.plan, wanted.handler, "select")?;
    let deed = match wanted.dry_run {
        true => Deed::Count,
        false => Deed::Replay(wanted.rate),
    };
    run(&state, plan, deed, by).await
}

/// Gives dead letters another chance.
pub(crate) async fn replay_dead(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let (plan, wanted) = dead_letters(&state, &request, payload).await?;
    let deed = match wanted.dry_run {
        true => Deed::Count,
        false => Deed::Replay(wanted.rate),
    };
    run(&state, plan, deed, by).await
}

/// Takes dead letters off the list for good.
pub(crate) async fn discard_dead(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let (plan, wanted) = dead_letters(&state, &request, payload).await?;
    let deed = match wanted.dry_run {
        true => Deed::Count,
        false => Deed::Discard,
    };
    run(&state, plan, deed, by).await
}

async fn dead_letters(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Plan, DeadLettersWanted), Problem> {
    // A body that says nothing must not mean everything.
    let expected = "`{\"filter\": {\"handler\", \"type\", \"since\", \"until\"}}` (`{\"filter\": {}}` is all) or `{\"plan\": …}`, with `dry_run`";
    let mut wanted: DeadLettersWanted =
        read_json(state, request, payload, BODY_LIMIT, expected).await?;
    let filter = wanted.filter.take().map(Selection::DeadLetters);
    let plan = planned(filter, wanted.plan.take(), None, "filter")?;
    if !plan.is_of_dead_letters() {
        let detail = "`plan`: it was made for messages, not for dead letters";
        return Err(Problem::bad_request("malformed-body", detail));
    }
    Ok((plan, wanted))
}

fn planned(
    selection: Option<Selection>,
    plan: Option<String>,
    handler: Option<String>,
    name: &str,
) -> Result<Plan, Problem> {
    let now = Timestamp::now();
    match (selection, plan) {
        (Some(selection), None) => Plan::freeze(selection, handler, now).map_err(problem),
        (None, Some(text)) => {
            let plan = read_plan(&text).ok_or_else(|| {
                let detail = "`plan`: expected what a dry run answered";
                Problem::bad_request("malformed-body", detail)
            })?;
            plan.again(now).map_err(problem)
        }
        _ => {
            let detail = format!("expected either `{name}` or `plan`");
            Err(Problem::bad_request("malformed-body", detail))
        }
    }
}

async fn run(state: &State, plan: Plan, deed: Deed, by: By) -> Result<HttpResponse, Problem> {
    let Some(turn) = state.bulk.take() else {
        let detail = "another replay or discard of many is at work: try again when it is done";
        return Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .after(Some(Duration::from_secs(2))),
        );
    };
    let journal = Arc::clone(state.publisher.journal());
    let chosen = plan.choose(&*journal).await.map_err(problem)?;
    let mut answer = counted(&plan, &chosen);
    let (action, subject, rate) = match deed {
        Deed::Count => return Ok(HttpResponse::Ok().json(answer)),
        Deed::Replay(rate) if plan.is_of_dead_letters() => {
            ("dead-letter.replay", "dead-letters", rate)
        }
        Deed::Replay(rate) => ("message.replay", "messages", rate),
        Deed::Discard => ("dead-letter.discard", "dead-letters", None),
    };
    let act = Act {
        action,
        subject: subject.to_owned(),
        detail: told(&plan, &chosen, rate),
    };
    let key = by.key.clone();
    // To its end, also if the caller hangs up: half a replay is of no use to anybody.
    let done = recorded(state, by, act, async move {
        let _turn = turn;
        let done = perform(deed, &chosen, &*journal).await;
        log(&done, &key);
        done.map_err(broken)
    });
    if let (Value::Object(answer), Value::Object(done)) = (&mut answer, done.await?) {
        answer.extend(done);
    }
    Ok(HttpResponse::Accepted().json(answer))
}

async fn perform(deed: Deed, chosen: &Chosen, journal: &dyn Journal) -> Result<Value, Broken> {
    match deed {
        Deed::Replay(rate) => {
            let pace = rate.map(|per_second| Pace {
                start: Timestamp::now(),
                per_second,
            });
            let outcome = chosen.replay(journal, pace).await?;
            Ok(json!({
                "scheduled": outcome.scheduled,
                "not_found": outcome.not_found,
                "payload_dropped": outcome.payload_dropped,
            }))
        }
        Deed::Count | Deed::Discard => {
            let discarded = chosen.discard(journal).await?;
            Ok(json!({ "discarded": discarded }))
        }
    }
}

/// What is chosen, for the audit log. What is looked for in keys and payloads may be somebody's name, and that log
/// forgets nothing: it stays out.
fn told(plan: &Plan, chosen: &Chosen, rate: Option<NonZeroU32>) -> Value {
    let mut told = json!(plan);
    for filter in ["/selection/filter", "/selection/dead_letters"] {
        let Some(filter) = told.pointer_mut(filter).and_then(Value::as_object_mut) else {
            continue;
        };
        filter.retain(|_, value| !value.is_null());
        for private in ["key", "q"] {
            if let Some(value) = filter.get_mut(private) {
                *value = "…".into();
            }
        }
    }
    // Dead letters go to who gave them up.
    let places = ["/handler", "/selection/dead_letters/handler"];
    let to = places
        .iter()
        .find_map(|place| told.pointer(place)?.as_str());
    let to = messages::to(to);
    let mut detail = json!({
        "selection": told["selection"].take(), "to": to, "count": chosen.count(),
    });
    if let (Some(first), Some(last)) = (chosen.first(), chosen.last()) {
        detail["first"] = json!(first);
        detail["last"] = json!(last);
    }
    if let Some(rate) = rate {
        detail["rate"] = json!(rate);
    }
    detail
}

fn counted(plan: &Plan, chosen: &Chosen) -> Value {
    let (since, until) = plan.period();
    json!({
        "count": chosen.count(),
        "first": chosen.first(),
        "last": chosen.last(),
        "since": since,
        "until": until,
        "unknown": chosen.unknown(),
        "payload_dropped": chosen.dropped(),
        "plan": write_plan(plan),
    })
}

fn log(done: &Result<Value, Broken>, by: &str) {
    match done {
        Ok(done) => tracing::info!(api_key.id = by, "of what was selected: {done}"),
        Err(error) => tracing::error!(
            api_key.id = by, error = %Chain(error), "a replay or discard of many broke off"
        ),
    }
}

fn broken(error: Broken) -> Problem {
    let detail = format!(
        "it broke off after {} deliveries, which stay done: send it again",
        error.done
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "broken-off", detail)
        .after(Some(Duration::from_secs(5)))
}

fn problem(error: SelectionError) -> Problem {
    let refused = |code: &'static str, hint: &str| {
        let detail = format!("{error}: {hint}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    };
    match error {
        SelectionError::TooManyNamed(_) => {
            refused("selection-too-large", "select by a filter instead")
        }
        SelectionError::TooMany => {
            let hint = format!(
                "narrow it by handler, type, since or until, to at most {MOST_DELIVERIES} at a time"
            );
            refused("selection-too-large", &hint)
        }
        SelectionError::StateOfNobody(_) => {
            refused("handler-needed", "name the handler, or select dead_letters")
        }
        SelectionError::UnknownHandler(name) => super::handlers::unknown(&name),
        SelectionError::Journal(error) => error.into(),
    }
}

fn write_plan(plan: &Plan) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(plan).expect("a plan is texts and times"))
}

fn read_plan(text: &str) -> Option<Plan> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
