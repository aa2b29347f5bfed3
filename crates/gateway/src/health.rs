//! Is it alive, is it ready, how is it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use crate::state::{HandlerView, PluginEntry, PluginStatus, State};

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    name: String,
    /// `ok`, `degraded` (works, but look) or `failed` (not ready).
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The process answers.
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// It can take messages. `?verbose` shows each check.
pub(crate) async fn ready(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let verbose = request
        .query_string()
        .split('&')
        .any(|pair| pair == "verbose" || pair.starts_with("verbose="));
    let mut checks = checks(&state).await;
    if let (true, Some(journal)) = (verbose, checks.first_mut())
        && journal.detail.is_none()
    {
        journal.detail = state.probe.engine(state.publisher.journal()).await;
    }
    let status = ["failed", "degraded"]
        .into_iter()
        .find(|bad| checks.iter().any(|check| check.status == *bad));
    let mut body = json!({"status": status.unwrap_or("ok")});
    if verbose || status.is_some() {
        body["checks"] = json!(checks);
    }
    if status == Some("failed") {
        HttpResponse::ServiceUnavailable().json(body)
    } else {
        HttpResponse::Ok().json(body)
    }
}

/// In the shape that the edX Coordinator answers, for monitors that know it.
pub(crate) async fn health(state: web::Data<State>) -> HttpResponse {
    let journal = state.probe.ask(state.publisher.journal()).await.is_ok();
    let status = if journal { "OK" } else { "UNAVAILABLE" };
    let body = json!({"overall_status": status, "detailed_status": {"database_status": status}});
    if journal {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

/// The Prometheus page.
pub(crate) async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body((state.metrics)())
}

/// Messages flow without it. Anybody may ask: why it does not answer is for the log.
fn beside(name: &'static str, answer: &Result<(), String>, lacks: &str) -> Check {
    if let Err(error) = answer {
        tracing::warn!(error, "the {name} does not answer");
    }
    Check {
        name: name.to_owned(),
        status: if answer.is_ok() { "ok" } else { "degraded" },
        detail: answer.is_err().then(|| lacks.to_owned()),
    }
}

/// The journal stands first.
async fn checks(state: &State) -> Vec<Check> {
    let probe = &state.probe;
    let (journal, database, cache) = tokio::join!(
        probe.ask(state.publisher.journal()),
        probe.ask_database((state.database)()),
        probe.ask_cache((state.cache)()),
    );
    let mut checks = vec![
        Check {
            name: "journal".to_owned(),
            status: if journal.is_ok() { "ok" } else { "failed" },
            detail: journal.err(),
        },
        beside(
            "database",
            &database,
            "plugins, wiring and settings cannot be changed now",
        ),
        beside(
            "cache",
            &cache,
            "plugins that use the host's cache or locks fail now",
        ),
    ];
    if let Some(revision) = (state.behind)() {
        // Anybody may ask: why is for the log.
        checks.push(Check {
            name: "revision".to_owned(),
            status: "degraded",
            detail: Some(format!(
                "revision {revision} of another host cannot be put in force here; what was before it is"
            )),
        });
    }
    checks.extend(plugins(state));
    checks.extend(handlers(state));
    let open = (state.open_breakers)();
    if open > 0 {
        // Anybody may ask: which systems they are is for the log.
        checks.push(Check {
            name: "egress".to_owned(),
            status: "degraded",
            detail: Some(format!(
                "{open} other system(s) fail again and again and are not called for now; deliveries that need them wait"
            )),
        });
    }
    checks
}

/// Every plugin that is on.
fn plugins(state: &State) -> Vec<Check> {
    let live = state.live.load();
    let on = live.plugins.iter();
    let on = on.filter(|plugin| plugin.state != PluginStatus::Disabled);
    let check = |plugin: &PluginEntry| {
        let unwell = live
            .running
            .get(&plugin.name)
            .and_then(|running| running.wellness())
            .is_some_and(|last| !last.ok);
        let status = match (plugin.state, plugin.required) {
            (PluginStatus::Failed, true) => "failed",
            (PluginStatus::Failed, false) => "degraded",
            _ if unwell || plugin.missing.is_some() => "degraded",
            _ => "ok",
        };
        // Anybody may ask: why is for `coordinator plugin list` and the log.
        let detail = match &plugin.error {
            Some(_) => Some("it does not run".to_owned()),
            None if plugin.missing.is_some() => {
                Some("another version is installed, and its file is not on this host".to_owned())
            }
            None => unwell.then(|| "it says that it is not well".to_owned()),
        };
        Check {
            name: format!("plugin {}", plugin.name),
            status,
            detail,
        }
    };
    on.map(check).collect()
}

/// Every handler that is not as it should be.
fn handlers(state: &State) -> Vec<Check> {
    let handlers = state.handlers.list().into_iter();
    let odd = handlers.filter(|handler| handler.state != "running");
    let check = |handler: HandlerView| {
        let detail = match handler.state {
            "stuck" => {
                "it blocks its thread longer than its timeout; it is paused until the thread returns"
            }
            "open" => "so much failed that it is not tried for a while; its deliveries wait",
            "half-open" => "one delivery is tried after it failed; the others wait",
            _ => "paused by an operator",
        };
        Check {
            name: format!("handler {}", handler.id),
            status: "degraded",
            detail: Some(format!("{}: {detail}", handler.state)),
        }
    };
    odd.map(check).collect()
}
