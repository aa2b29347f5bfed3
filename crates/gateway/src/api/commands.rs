//! `/plugins/{instance}/commands`: what an operator can run of a plugin by name.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use coordinator_context::CommandReply;
use serde::Serialize;
use serde_json::{Value, json};

use super::operate::by;
use super::view::List;
use crate::operator::{By, Operation, Record};
use crate::state::{CommandEntry, State};
use crate::{Problem, body};

#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    doc: &'a str,
    /// JSON Schema of an object; null if it takes none.
    arguments: &'a Value,
    timeout_ms: u64,
}

impl<'a> View<'a> {
    fn of(command: &'a CommandEntry) -> Self {
        Self {
            name: &command.name,
            doc: &command.doc,
            arguments: &command.arguments,
            timeout_ms: u64::try_from(command.timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The commands of one plugin.
pub(crate) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
    instance: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let live = state.live.load();
    if !live.plugins.iter().any(|plugin| plugin.name == *instance) {
        return Err(unknown_plugin(&instance));
    }
    let commands = live.commands.iter().filter(|it| it.instance == *instance);
    let items: Vec<View<'_>> = commands.map(View::of).collect();
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}

/// Runs one, with the body as its arguments; the answer is what it says.
pub(crate) async fn run(
    state: web::Data<State>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by(&state, &request)?;
    let (instance, name) = path.into_inner();
    let arguments = read(&state, &request, payload).await?;
    let live = state.live.load();
    let mut commands = live.commands.iter();
    let Some(command) = commands.find(|it| it.instance == instance && it.name == name) else {
        if live.plugins.iter().any(|plugin| plugin.name == instance) {
            return Err(unknown_command(&instance, &name));
        }
        return Err(unknown_plugin(&instance));
    };
    let id = format!("{instance}.{name}");
    tracing::info!(
        plugin.name = instance,
        command = id,
        api_key.id = by.key,
        "command `{id}` is run"
    );
    let running = match &command.target {
        Some(target) => target.run(arguments),
        None => Box::pin(std::future::ready(CommandReply::Unavailable)),
    };
    drop(live);
    record(&state, by, &id).await;
    answer(&id, running.await)
}

/// Into the audit log, without its arguments: they may be secret. Where the log cannot be written, an operator must be
/// able to act all the same; the host's own log has it.
async fn record(state: &State, by: By, id: &str) {
    let record = Record {
        action: "command.run".to_owned(),
        subject: id.to_owned(),
        detail: json!({}),
    };
    let operator = Arc::clone(&state.operator);
    if let Err(error) = operator.operate(by, Operation::Record(record)).await {
        tracing::warn!(command = id, error = %error, "command `{id}` is run, and is not in the audit log");
    }
}

async fn read(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Bytes, Problem> {
    let given = body::read(request, payload, state.body_limit, state.body_timeout).await?;
    if given.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice(&given) {
        Ok(Value::Object(_)) => Ok(given),
        Ok(_) => Err("expected a JSON object of arguments".to_owned()),
        Err(error) => Err(format!("expected a JSON object of arguments: {error}")),
    }
    .map_err(|detail| Problem::bad_request("malformed-body", detail))
}

/// A holder of an API key operates the host: it is told why.
fn answer(id: &str, reply: CommandReply) -> Result<HttpResponse, Problem> {
    let told = |chain: &[String]| coordinator_telemetry::redact(&chain.join(": ")).into_owned();
    let (status, code, detail) = match reply {
        CommandReply::Done {
            content_type,
            output,
        } => {
            return Ok(HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, content_type))
                .body(output));
        }
        CommandReply::Usage(chain) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "command-arguments",
            told(&chain),
        ),
        CommandReply::Failed(chain) => (StatusCode::BAD_GATEWAY, "command-failed", told(&chain)),
        CommandReply::Panicked(chain) => {
            (StatusCode::BAD_GATEWAY, "command-panicked", told(&chain))
        }
        CommandReply::TimedOut(within) => (
            StatusCode::GATEWAY_TIMEOUT,
            "command-timeout",
            format!(
                "`{id}` did not end within {} s; what it had begun is not undone",
                within.as_secs()
            ),
        ),
        CommandReply::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "plugin-unavailable",
            format!("`{id}` cannot be run: its plugin does not run"),
        ),
    };
    tracing::warn!(command = id, code, error = detail, "command `{id}` failed");
    Err(Problem::new(status, code, detail))
}

fn unknown_plugin(instance: &str) -> Problem {
    let instance: String = instance.chars().take(64).collect();
    Problem::not_found(
        "no-such-plugin",
        format!("there is no plugin `{instance}`: see `GET /api/v1/plugins`"),
    )
}

fn unknown_command(instance: &str, name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::not_found(
        "no-such-command",
        format!(
            "plugin `{instance}` has no command `{name}`: see `GET /api/v1/plugins/{instance}/commands`"
        ),
    )
}
