//! `coordinator handlers`: how far each is, and stopping one, or letting it skip, without stopping the host.

use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;

use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::{confirm, output};

/// Looks at handlers and stops or starts their deliveries, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Handlers {
    /// Lists handlers: what they take, how much waits, how much was given up.
    List,
    /// Stops delivering to a handler, until it is resumed; messages wait for it.
    Pause {
        /// Such as `lms.enrol`.
        handler: String,
    },
    /// Goes on delivering to a handler.
    Resume {
        /// Such as `lms.enrol`.
        handler: String,
    },
    /// Settles what waits for a handler without delivering it: it goes on with what is accepted from now on.
    Skip {
        /// Such as `lms.enrol`.
        handler: String,
        /// Without asking.
        #[arg(long)]
        yes: bool,
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
    #[serde(default)]
    parked: u64,
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
            Self::Skip { handler, yes } => skip(handler, *yes, options),
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
        let Handler {
            lag,
            running,
            retrying,
            parked,
            dead,
            ..
        } = handler;
        let counts = [lag, running, retrying, parked, dead].map(|n| n.to_string());
        let [lag, running, retrying, parked, dead] = counts;
        [
            handler.id,
            handler.state,
            lag,
            running,
            retrying,
            parked,
            dead,
            oldest,
            handler.types.join(", "),
        ]
    });
    output::table(
        [
            "HANDLER", "STATE", "LAG", "RUNNING", "RETRYING", "PARKED", "DEAD", "OLDEST", "TYPE",
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

fn skip(handler: &str, yes: bool, options: &Options) -> Result<u8, Failure> {
    #[derive(Deserialize)]
    struct Skipped {
        skipped: Option<u64>,
    }
    let question = format!("Let `{handler}` skip everything that waits for it now?");
    if !confirm::confirmed(&question, yes)? {
        return Ok(OK);
    }
    let client = options.client()?.patient();
    let reply = client.post(&["handlers", handler, "skip"], None)?;
    match options.output {
        Format::Json => output::line(reply.text())?,
        Format::Table => {
            let Skipped { skipped } = reply.read()?;
            let count = skipped.map_or_else(|| "not counted".to_owned(), |count| count.to_string());
            output::line(&format!("skipped deliveries: {count}"))?;
        }
    }
    Ok(OK)
}
