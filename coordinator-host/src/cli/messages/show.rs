//! One message on the screen: envelope, deliveries, what went wrong at each attempt, what came of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Item;
use crate::cli::exit::{Failure, OK};
use crate::cli::options::{Format, Options};
use crate::cli::output::{self, PrintError};

/// A message with everything that happened to it.
#[derive(Deserialize)]
pub(crate) struct Message {
    #[serde(flatten)]
    item: Item,
    #[serde(default)]
    pub(crate) deliveries: Vec<Delivery>,
    #[serde(default)]
    children: Vec<String>,
}

/// The payload apart: as it came, digit for digit.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What one handler did with it.
#[derive(Deserialize)]
pub(crate) struct Delivery {
    handler: String,
    pub(crate) state: String,
    attempt: u64,
    replay: u64,
    due: Option<String>,
    #[serde(default)]
    parked: Option<String>,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

/// One attempt that failed.
#[derive(Deserialize)]
pub(crate) struct Attempt {
    replay: u64,
    attempt: u64,
    kind: String,
    #[serde(default)]
    chain: Vec<String>,
    started: String,
    ran_ms: u64,
}

/// Prints the message `id`.
pub(super) fn message(id: &str, payload: bool, options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["messages", id], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    print(&reply.read()?)?;
    if payload {
        let data = serde_json::from_str::<Payload<'_>>(reply.text()).ok();
        let data = data.and_then(|payload| payload.data);
        output::heading("payload")?;
        output::line(data.map_or("(dropped)", RawValue::get))?;
    }
    Ok(OK)
}

/// Prints everything but the payload.
pub(crate) fn print(message: &Message) -> Result<(), PrintError> {
    let item = &message.item;
    let text = |text: &String| Some(text.clone());
    output::fields([
        ("id", text(&item.id)),
        ("type", text(&item.ty)),
        ("state", item.state.clone()),
        ("source", text(&item.source)),
        ("time", text(&item.time)),
        ("accepted", item.accepted.clone()),
        ("deliver at", item.deliver_at.clone()),
        ("key", item.key.clone()),
        ("lane", text(&item.lane)),
        ("correlation", text(&item.correlation)),
        ("cause", item.cause.clone()),
        (
            "payload",
            item.payload_dropped.then(|| "dropped".to_owned()),
        ),
    ])?;
    if message.deliveries.is_empty() {
        output::heading("no handler takes this type")?;
    } else {
        deliveries(&message.deliveries)?;
    }
    if !message.children.is_empty() {
        output::heading("messages that came of it")?;
        for child in &message.children {
            output::line(&crate::cli::exit::printable(child))?;
        }
    }
    Ok(())
}

fn deliveries(deliveries: &[Delivery]) -> Result<(), PrintError> {
    output::heading("deliveries")?;
    let rows = deliveries.iter().map(|delivery| {
        [
            delivery.handler.clone(),
            delivery.state.clone(),
            delivery.attempt.to_string(),
            delivery.replay.to_string(),
            delivery.next(),
        ]
    });
    output::table(["HANDLER", "STATE", "ATTEMPT", "REPLAY", "NEXT"], rows, "")?;
    let failed = deliveries.iter().flat_map(|delivery| {
        let attempts = delivery.attempts.iter();
        attempts.map(|attempt| {
            [
                delivery.handler.clone(),
                numbered(attempt.replay, attempt.attempt),
                attempt.kind.clone(),
                attempt.started.clone(),
                format!("{} ms", attempt.ran_ms),
                attempt.chain.join(": "),
            ]
        })
    });
    let failed: Vec<_> = failed.collect();
    if failed.is_empty() {
        return Ok(());
    }
    output::heading("attempts")?;
    output::table(
        ["HANDLER", "ATTEMPT", "OUTCOME", "STARTED", "RAN", "ERROR"],
        failed,
        "",
    )
}

impl Delivery {
    /// When it is tried again, or what it waits for.
    fn next(&self) -> String {
        match self.parked.as_deref() {
            Some("behind-its-key") => "after an earlier message of its key".to_owned(),
            Some("holds-its-key") => {
                "when it is replayed or discarded: it holds its key".to_owned()
            }
            _ => self.due.clone().unwrap_or_default(),
        }
    }
}

/// `3`, or within the second replay `r2.3`.
fn numbered(replay: u64, attempt: u64) -> String {
    match replay {
        0 => attempt.to_string(),
        replay => format!("r{replay}.{attempt}"),
    }
}
