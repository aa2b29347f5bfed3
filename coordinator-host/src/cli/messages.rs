//! `coordinator messages`: publish one, find some, follow them, look at one, deliver some again or not at all.

pub(super) mod again;
mod filter;
mod publish;
pub(super) mod show;
mod tail;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::client::{Body, CallError, Client};
use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;
pub(super) use filter::{Choice, Paging, Period};

/// Talks to the host's API about messages.
#[derive(Debug, Subcommand)]
pub(crate) enum Messages {
    /// Publishes one message, durably.
    Publish(publish::Publish),
    /// Lists messages, newest first, without their payloads.
    List(List),
    /// Shows one message: its envelope, its deliveries with what went wrong, and what came of it.
    Show {
        /// The message's id.
        id: String,
        /// The payload as well (`--output json` always has it).
        #[arg(long)]
        payload: bool,
    },
    /// Prints messages as they are accepted, until Ctrl-C.
    Tail(tail::Tail),
    /// Delivers messages again, by their ids or by what they are, to every handler of their type or to one.
    Replay(again::Replay),
    /// Settles messages without delivering them: what waits, is parked, or was given up.
    Discard(again::Discard),
}

/// A page of messages.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    choice: Choice,
    /// Only with a delivery to this handler, such as `lms.enrol`.
    #[arg(long)]
    handler: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// A message without its payload.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    pub(super) source: String,
    pub(super) time: String,
    pub(super) key: Option<String>,
    pub(super) lane: String,
    pub(super) correlation: String,
    pub(super) cause: Option<String>,
    pub(super) state: Option<String>,
    pub(super) accepted: Option<String>,
    #[serde(default)]
    pub(super) deliver_at: Option<String>,
    #[serde(default)]
    pub(super) payload_dropped: bool,
}

impl Messages {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::Publish(publish) => publish.run(options),
            Self::List(list) => list.run(options),
            Self::Show { id, payload } => show::message(id, *payload, options),
            Self::Tail(tail) => tail.run(options),
            Self::Replay(replay) => replay.run(options),
            Self::Discard(discard) => discard.run(options),
        }
    }
}

impl List {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let mut filters = self.choice.filters();
        filters.push(("handler", self.handler.clone()));
        filters.extend(self.paging.filters());
        let reply = options.client()?.get(&["messages"], &filters)?;
        if options.output == Format::Json {
            output::line(reply.text())?;
            return Ok(OK);
        }
        let page: Page<Item> = reply.read()?;
        let rows = page.items.into_iter().map(|item| {
            let [state, accepted, key] =
                [item.state, item.accepted, item.key].map(Option::unwrap_or_default);
            [item.id, state, accepted, key, item.ty]
        });
        output::table(
            ["ID", "STATE", "ACCEPTED", "KEY", "TYPE"],
            rows,
            "no message fits",
        )?;
        more(page.next.as_deref())?;
        Ok(OK)
    }
}

/// Says how to see the next page.
pub(super) fn more(next: Option<&str>) -> Result<(), output::PrintError> {
    match next {
        Some(cursor) => output::note(&format!("there are more: --cursor {cursor}")),
        None => Ok(()),
    }
}

/// Asks for new deliveries of a message, found under `place`; answers how many there will be.
pub(super) fn replay(
    client: &Client,
    place: &str,
    id: &str,
    handler: Option<&str>,
) -> Result<u64, CallError> {
    #[derive(Deserialize)]
    struct Scheduled {
        scheduled: u64,
    }
    let wanted = match handler {
        Some(handler) => json!({ "handler": handler }),
        None => json!({}),
    };
    let reply = client.post(&[place, id, "replay"], Some(Body::json(&wanted)))?;
    Ok(reply.read::<Scheduled>()?.scheduled)
}

/// Prints how many deliveries there will be.
pub(super) fn say_scheduled(scheduled: u64, options: &Options) -> Result<(), output::PrintError> {
    match options.output {
        Format::Json => output::json(&json!({ "scheduled": scheduled })),
        Format::Table => output::line(&format!("scheduled deliveries: {scheduled}")),
    }
}
