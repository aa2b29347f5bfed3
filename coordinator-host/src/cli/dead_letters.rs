//! `coordinator dead-letters`: what was given up, why, and trying it again once the cause is mended, or never.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bulk::{Bulk, Manner};
use super::confirm::confirmed;
use super::exit::{Failure, OK, PROBLEMS};
use super::messages::again::discard_each;
use super::messages::show::{self, Message};
use super::messages::{Item, Page, Paging, Period, more, replay, say_scheduled};
use super::options::{Format, Options};
use super::output;

/// Talks to the host's API about dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// Lists dead letters, newest first, with the error that ended each.
    List(List),
    /// Shows the message of a dead letter and every attempt.
    Show {
        /// The message's id.
        id: String,
    },
    /// Delivers dead letters again.
    Replay(Replay),
    /// Takes dead letters off the list for good.
    Discard(Discard),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Only of this handler, such as `lms.enrol`.
    #[arg(long)]
    handler: Option<String>,
    /// Only of this type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    #[command(flatten)]
    period: Period,
}

/// A page of them.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    paging: Paging,
}

/// Some by their ids, or all that fit.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The messages' ids.
    #[arg(
        required_unless_present_any = ["all", "plan", "handler", "ty", "since", "until"],
        conflicts_with_all = ["all", "plan", "dry_run", "ty", "since", "until"]
    )]
    ids: Vec<String>,
    /// Every dead letter that the filters leave.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    manner: Manner,
}

/// Which to deliver again.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    chosen: Chosen,
    /// At most so many deliveries in a second.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(conflicts_with = "ids")]
    rate: Option<u32>,
}

/// Which not to deliver any more.
#[derive(Debug, Args)]
pub(crate) struct Discard {
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Deserialize)]
struct DeadLetter {
    handler: String,
    message: Item,
    died: String,
    attempts: u64,
    failure: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    kind: String,
    #[serde(default)]
    chain: Vec<String>,
}

/// `show` of a message that nobody gave up.
#[derive(Debug, thiserror::Error)]
#[error("no delivery of `{0}` is a dead letter\n  (see `coordinator messages show {0}`)")]
struct NotDead(String);

impl DeadLetters {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List(list) => list.run(options),
            Self::Show { id } => show(id, options),
            Self::Replay(replay) => replay.run(options),
            Self::Discard(discard) => discard.run(options),
        }
    }
}

impl Filters {
    fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        let mut pairs = vec![("handler", self.handler.clone()), ("type", self.ty.clone())];
        pairs.extend(self.period.filters());
        pairs
    }
}

impl List {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let mut filters = self.filters.pairs();
        filters.extend(self.paging.filters());
        let reply = options.client()?.get(&["dead-letters"], &filters)?;
        if options.output == Format::Json {
            output::line(reply.text())?;
            return Ok(OK);
        }
        let page: Page<DeadLetter> = reply.read()?;
        let rows = page.items.into_iter().map(|dead| {
            let error = dead
                .failure
                .map(|cause| format!("{}: {}", cause.kind, cause.chain.join(": ")));
            let attempts = dead.attempts.to_string();
            [
                dead.message.id,
                dead.handler,
                dead.died,
                attempts,
                error.unwrap_or_default(),
            ]
        });
        output::table(
            ["MESSAGE", "HANDLER", "DIED", "ATTEMPTS", "ERROR"],
            rows,
            "no dead letter fits",
        )?;
        more(page.next.as_deref())?;
        Ok(OK)
    }
}

fn show(id: &str, options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["messages", id], &[])?;
    let message: Message = reply.read()?;
    if !message
        .deliveries
        .iter()
        .any(|delivery| delivery.state == "dead")
    {
        return Err(Failure::new(PROBLEMS, NotDead(id.to_owned())));
    }
    match options.output {
        Format::Json => output::line(reply.text())?,
        Format::Table => show::print(&message)?,
    }
    Ok(OK)
}

impl Replay {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let Chosen { ids, filters, .. } = &self.chosen;
        if ids.is_empty() {
            return self.chosen.all("replay", "Replay", self.rate, options);
        }
        let client = options.client()?;
        let mut scheduled = 0;
        for id in ids {
            scheduled += replay(&client, "dead-letters", id, filters.handler.as_deref())?;
        }
        say_scheduled(scheduled, options)?;
        Ok(OK)
    }
}

impl Discard {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let Chosen {
            ids,
            filters,
            manner,
            ..
        } = &self.chosen;
        if ids.is_empty() {
            return self.chosen.all("discard", "Discard", None, options);
        }
        let question = format!("Discard the dead letters of {} messages?", ids.len());
        if !confirmed(&question, manner.yes)? {
            return Ok(OK);
        }
        discard_each("dead-letters", ids, filters.handler.as_deref(), options)
    }
}

impl Chosen {
    /// Those that had died when it began: what dies again is not tried for ever.
    fn all(
        &self,
        place: &str,
        verb: &'static str,
        rate: Option<u32>,
        options: &Options,
    ) -> Result<u8, Failure> {
        let pairs = self.filters.pairs().into_iter();
        let filter: Map<String, Value> = pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        let bulk = Bulk {
            path: &["dead-letters", place],
            verb,
            chosen: json!({ "filter": filter }),
            rate,
            manner: &self.manner,
        };
        bulk.run(options)
    }
}
