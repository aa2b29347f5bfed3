//! `coordinator dead-letters`: what was given up, why, and trying it again once the cause is mended.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::client::{CallError, Client};
use super::exit::{Failure, OK, PROBLEMS, USAGE};
use super::messages::show::{self, Message};
use super::messages::{Item, Page, Paging, Period, more, replay, say_scheduled};
use super::options::{Format, Options};
use super::output::{self, PrintError};

/// Dead letters that one request asks for while all are replayed.
const PAGE: u32 = 100;

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

/// Which to deliver again.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The message's id.
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "ty", "since", "until"])]
    id: Option<String>,
    /// Every dead letter that the filters leave.
    #[arg(long)]
    all: bool,
    /// Without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    filters: Filters,
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

/// `--all` without a person to ask.
#[derive(Debug, thiserror::Error)]
#[error("nobody is here to confirm `--all`\n  (add --yes)")]
struct Unconfirmed;

impl DeadLetters {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List(list) => list.run(options),
            Self::Show { id } => show(id, options),
            Self::Replay(replay) => replay.run(options),
        }
    }
}

impl Filters {
    fn pairs(&self, period: &Period) -> Vec<(&'static str, Option<String>)> {
        let mut pairs = vec![("handler", self.handler.clone()), ("type", self.ty.clone())];
        pairs.extend(period.filters());
        pairs
    }
}

impl List {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let mut filters = self.filters.pairs(&self.filters.period);
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
        let client = options.client()?;
        let scheduled = match &self.id {
            Some(id) => replay(&client, "dead-letters", id, self.filters.handler.as_deref())?,
            None => {
                if !self.yes && !self.confirm()? {
                    output::note("nothing was replayed")?;
                    return Ok(OK);
                }
                self.replay_all(&client)?
            }
        };
        say_scheduled(scheduled, options)?;
        Ok(OK)
    }

    fn confirm(&self) -> Result<bool, Failure> {
        let mut input = io::stdin().lock();
        if !input.is_terminal() {
            return Err(Failure::new(USAGE, Unconfirmed));
        }
        let whose = self.filters.handler.as_deref().unwrap_or("every handler");
        let mut asking = io::stderr().lock();
        write!(asking, "Replay the dead letters of {whose}? [y/N] ").map_err(PrintError::from)?;
        let mut answer = String::new();
        input.read_line(&mut answer).map_err(PrintError::from)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Page by page, of those that had died when it began: what dies again is not tried for ever.
    fn replay_all(&self, client: &Client) -> Result<u64, CallError> {
        let mut filters = self.filters.pairs(&self.filters.period.until_now());
        filters.push(("limit", Some(PAGE.to_string())));
        let mut scheduled = 0;
        let mut cursor = None;
        loop {
            let mut asked = filters.clone();
            asked.push(("cursor", cursor));
            let page: Page<DeadLetter> = client.get(&["dead-letters"], &asked)?.read()?;
            for dead in page.items {
                match replay(
                    client,
                    "dead-letters",
                    &dead.message.id,
                    Some(&dead.handler),
                ) {
                    Ok(more) => scheduled += more,
                    // Retention, or somebody else, was faster.
                    Err(CallError::Refused(problem)) if problem.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(scheduled);
            }
        }
    }
}
