//! `/pipelines`: which there are, and running those that are public.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use coordinator_context::{PipelineRun, PipelineView, RunError, RunFor, StepTrace};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::view::List;
use crate::plugin_route::trace_of;
use crate::state::State;
use crate::{Problem, body};

#[derive(Serialize)]
struct View {
    name: String,
    public: bool,
    ready: bool,
    deadline_ms: u64,
    /// Those in one list are asked at once.
    steps: Vec<Vec<String>>,
}

/// Every pipeline of the wiring.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let view = |pipeline: PipelineView| View {
        deadline_ms: u64::try_from(pipeline.deadline.as_millis()).unwrap_or(u64::MAX),
        name: pipeline.name,
        public: pipeline.public,
        ready: pipeline.ready,
        steps: pipeline.stages,
    };
    let items: Vec<View> = state.pipelines.list().into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}

/// Runs one that is public, with the body as its input.
pub(crate) async fn run(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let input = body::read(&request, payload, state.body_limit, state.body_timeout).await?;
    let read: Value = serde_json::from_slice(&input).map_err(|error| {
        Problem::bad_request(
            "malformed-body",
            format!("expected the pipeline's input as JSON: {error}"),
        )
    })?;
    match state.pipelines.check_public(&name, &read) {
        None => return Err(unknown(&name)),
        Some(Err(mismatch)) => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "pipeline-input",
                mismatch.to_string(),
            )
            .pointer(mismatch.pointer));
        }
        Some(Ok(())) => {}
    }
    let trace = trace_of(&request);
    let run_for = RunFor::caller(Some(trace));
    let ran = state.pipelines.run(&name, input, run_for).await;
    answer(ran).map_err(|problem| problem.trace(trace.trace_id()))
}

/// What a reload took away between the check and the run is not there either.
fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(128).collect();
    Problem::not_found(
        "no-such-pipeline",
        format!("there is no public pipeline `{name}`: see `GET /api/v1/pipelines`"),
    )
}

fn answer(ran: PipelineRun) -> Result<HttpResponse, Problem> {
    let PipelineRun {
        result,
        steps,
        took,
    } = ran;
    let steps: Vec<Value> = steps.iter().map(step).collect();
    let answered = match result {
        Ok(answered) => answered,
        Err(RunError::Unknown(name)) => return Err(unknown(&name)),
        Err(error) => return Err(refused(error).with("steps", json!(steps))),
    };
    let value: &RawValue = serde_json::from_slice(&answered.value).map_err(|_| {
        let problem = Problem::new(StatusCode::BAD_GATEWAY, "step-not-json", NOT_JSON);
        problem.with("steps", json!(steps))
    })?;
    let missing = answered
        .missing
        .iter()
        .map(|missing| json!({"step": &*missing.step, "reason": missing.reason}));
    // As it came: money must not pass through a float.
    Ok(HttpResponse::Ok().json(Answer {
        value,
        partial: missing.collect(),
        halted_by: answered.halted_by.as_deref(),
        steps,
        took_us: micros(took),
    }))
}

const NOT_JSON: &str = "what the last step answered is not JSON";

#[derive(Serialize)]
struct Answer<'a> {
    value: &'a RawValue,
    /// Steps whose part is missing from the value.
    partial: Vec<Value>,
    halted_by: Option<&'a str>,
    steps: Vec<Value>,
    took_us: u64,
}

/// A holder of an API key operates the host: it is told which step failed and how, and the log has it too.
fn refused(error: RunError) -> Problem {
    let said = error.to_string();
    let failed = error.into_failed();
    let status = match failed.status {
        // The host is well; what it asked is not.
        500 => StatusCode::BAD_GATEWAY,
        other => StatusCode::from_u16(other).unwrap_or(StatusCode::BAD_GATEWAY),
    };
    Problem::new(status, failed.code, said).after(failed.after)
}

fn step(traced: &StepTrace) -> Value {
    let error = (!traced.chain.is_empty()).then(|| {
        let said = traced.chain.join(": ");
        coordinator_telemetry::redact(&said).into_owned()
    });
    json!({
        "step": &*traced.step,
        "outcome": traced.outcome.as_str(),
        "took_us": micros(traced.took),
        "error": error,
    })
}

fn micros(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
