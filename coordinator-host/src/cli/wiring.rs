//! `coordinator wiring`: what is bound to what on the running host, and changing it.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;

use super::exit::{Failure, OK};
use super::given::guessed;
use super::options::{Format, Options};
use super::output;
use super::overrides::{Back, Recent, Values};

/// Shows and changes bindings, terms, pipelines and mounts of the running host; every change is checked as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum Wiring {
    /// Shows handlers, routes and what was set over the configuration file.
    Show,
    /// Sets values: `lms.enrol.timeout=10s`, `lms.mount=/pay`, `lms.enrol.on=["org.example.paid.v1"]`, `wiring.schedules.report.enabled=false`.
    Set(Values),
    /// Lists what was set, newest first.
    History(Recent),
    /// Sets everything as it was at a revision.
    Revert(Back),
}

#[derive(Deserialize)]
struct Shown {
    revision: u64,
    handlers: Vec<Handler>,
    routes: Vec<Route>,
    overrides: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Handler {
    id: String,
    types: Vec<String>,
    max_attempts: u64,
    timeout_ms: u64,
    concurrency: u64,
    rate: Option<String>,
    order: String,
}

#[derive(Deserialize)]
struct Route {
    plugin: String,
    name: String,
    method: String,
    path: String,
}

impl Wiring {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::Show => show(options),
            Self::Set(set) => set.run(&["wiring"], full_key, |_, words| guessed(words), options),
            Self::History(history) => history.run(&["wiring"], options),
            Self::Revert(revert) => revert.run(&["wiring"], options),
        }
    }
}

fn show(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["wiring"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let shown: Shown = reply.read()?;
    let handlers = shown.handlers.into_iter().map(|handler| {
        [
            handler.id,
            handler.types.join(", "),
            handler.max_attempts.to_string(),
            format!("{} ms", handler.timeout_ms),
            handler.concurrency.to_string(),
            handler.rate.unwrap_or_default(),
            handler.order,
        ]
    });
    output::table(
        [
            "HANDLER", "TYPE", "ATTEMPTS", "TIMEOUT", "AT ONCE", "RATE", "ORDER",
        ],
        handlers,
        "no plugin has a handler",
    )?;
    output::heading("routes")?;
    let routes = shown.routes.into_iter().map(|route| {
        let Route {
            plugin,
            name,
            method,
            path,
        } = route;
        [method, path, format!("{plugin}.{name}")]
    });
    output::table(["METHOD", "PATH", "ROUTE"], routes, "no plugin has a route")?;
    output::heading(&format!(
        "set over the configuration file, revision {}",
        shown.revision
    ))?;
    let overrides = shown
        .overrides
        .into_iter()
        .map(|(key, set)| [key, set["value"].to_string(), set["revision"].to_string()]);
    output::table(["KEY", "VALUE", "REVISION"], overrides, "nothing is set")?;
    Ok(OK)
}

/// `lms.enrol.timeout` is short for `wiring.handlers."lms.enrol".timeout`, `lms.mount` for `plugins.lms.mount`.
fn full_key(key: &str) -> String {
    if key.starts_with("wiring.") || key.starts_with("plugins.") {
        return key.to_owned();
    }
    match key.split('.').collect::<Vec<_>>().as_slice() {
        [instance, "mount"] => format!("plugins.{instance}.mount"),
        [instance, handler, term] => format!("wiring.handlers.\"{instance}.{handler}\".{term}"),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::full_key;

    #[test]
    fn a_short_key_is_that_of_a_handler_or_a_mount_and_a_long_one_stays() {
        for (short, long) in [
            ("lms.enrol.timeout", "wiring.handlers.\"lms.enrol\".timeout"),
            ("lms.mount", "plugins.lms.mount"),
            (
                "wiring.schedules.report.cron",
                "wiring.schedules.report.cron",
            ),
        ] {
            assert_eq!(full_key(short), long);
        }
    }
}
