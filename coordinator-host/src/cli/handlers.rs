//! `coordinator handlers`: how far each is, and stopping one without stopping the host.

use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;

use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;

/// Looks at handlers and stops or starts their deliveries, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Handlers {
    /// Lists handlers: what they take, how much waits, how much was given up.
    List,
    /// Stops delivering to a handler; messages wait for it.
    Pause {
        /// Such as `lms.enrol`.
        handler: String,
    },
    /// Goes on delivering to a handler.
    Resume {
        /// Such as `lms.enrol`.
        handler: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Handler>,
}

#[derive(Deserialize)]
struct Handler {
    id: String,
    #[serde(rename = "type")]
    types: Vec<String>,
    state: String,
    lag: u64,
    running: u64,
    retrying: u64,
    dead: u64,
    #[serde(default)]
    oldest_s: Option<u64>,
}

impl Handlers {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
            Self::Pause { handler } => tell(handler, "pause", "paused", options),
            Self::Resume { handler } => tell(handler, "resume", "resumed", options),
        }
    }
}

fn list(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["handlers"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Answer { items } = reply.read()?;
    let rows = items.into_iter().map(|handler| {
        let age = |seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string();
        let oldest = handler.oldest_s.map(age).unwrap_or_default();
        let [lag, running, retrying, dead] =
            [handler.lag, handler.running, handler.retrying, handler.dead].map(|n| n.to_string());
        [
            handler.id,
            handler.state,
            lag,
            running,
            retrying,
            dead,
            oldest,
            handler.types.join(", "),
        ]
    });
    output::table(
        [
            "HANDLER", "STATE", "LAG", "RUNNING", "RETRYING", "DEAD", "OLDEST", "TYPE",
        ],
        rows,
        "no plugin has a handler",
    )?;
    Ok(OK)
}

fn tell(handler: &str, verb: &str, done: &str, options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.post(&["handlers", handler, verb], None)?;
    match options.output {
        Format::Json => output::line(reply.text())?,
        Format::Table => output::line(&format!("{done} `{handler}`"))?,
    }
    Ok(OK)
}
