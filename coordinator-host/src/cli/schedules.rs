//! `coordinator schedules`: what the clock publishes, and when.

use clap::Subcommand;
use serde::Deserialize;

use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;

/// Looks at schedules, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Schedules {
    /// Lists schedules: what they publish, when they last ticked and when they will.
    List,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Schedule>,
}

#[derive(Deserialize)]
struct Schedule {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    cron: String,
    zone: String,
    enabled: bool,
    last: Option<String>,
    next: Option<String>,
}

impl Schedules {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
        }
    }
}

fn list(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["schedules"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Answer { items } = reply.read()?;
    let rows = items.into_iter().map(|schedule| {
        let next = match (schedule.enabled, schedule.next) {
            (false, _) => "off".to_owned(),
            (true, next) => next.unwrap_or_default(),
        };
        [
            schedule.name,
            next,
            schedule.last.unwrap_or_default(),
            schedule.cron,
            schedule.zone,
            schedule.ty,
        ]
    });
    output::table(
        ["SCHEDULE", "NEXT", "LAST", "CRON", "ZONE", "TYPE"],
        rows,
        "the configuration has no schedule",
    )?;
    Ok(OK)
}
