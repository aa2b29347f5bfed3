//! `coordinator messages publish`: one CloudEvent from the command line.

use std::time::Duration;

use clap::Args;
use coordinator_message::{MessageId, MessageType, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::client::Body;
use crate::cli::exit::{Failure, OK, USAGE};
use crate::cli::options::{Format, Options};
use crate::cli::{input, output};

/// What to publish.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Its type, such as `org.example.order.placed.v1`.
    #[arg(long = "type", value_name = "TYPE")]
    ty: MessageType,
    /// Its ordering key: messages of one key keep their order.
    #[arg(long)]
    key: Option<String>,
    /// Publishing twice under one idempotency key publishes once.
    #[arg(long, value_name = "KEY", value_parser = input::header_value)]
    idempotency_key: Option<String>,
    /// Not delivered before then: RFC 3339, at most 366 days ahead. Accepted, and durable, at once.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, conflicts_with = "deliver_after")]
    deliver_at: Option<Timestamp>,
    /// The same, counted from now: such as `90s`, `2h`, `7d`.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    deliver_after: Option<Duration>,
    /// The payload: JSON, @FILE, or - for standard input.
    #[arg(
        long,
        value_name = "JSON",
        default_value = "{}",
        hide_default_value = true
    )]
    data: String,
}

/// The payload is not JSON. What was found is not repeated.
#[derive(Debug, thiserror::Error)]
#[error(
    "the payload is not JSON\n  (give --data JSON, --data @FILE, or --data - and standard input)"
)]
struct NotJson(#[source] serde_json::Error);

/// A CloudEvent in structured mode. The payload keeps its digits: money must not pass through a float.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: MessageId,
    source: &'static str,
    #[serde(rename = "type")]
    ty: &'a MessageType,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliverat: Option<Timestamp>,
    datacontenttype: &'static str,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Answer {
    receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct Receipt {
    id: String,
    status: String,
    durability: String,
}

impl Publish {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let data = RawValue::from_string(input::text(&self.data)?)
            .map_err(|error| Failure::new(USAGE, NotJson(error)))?;
        let now = Timestamp::now();
        let event = Event {
            specversion: "1.0",
            id: MessageId::new(now),
            source: "/coordinator/cli",
            ty: &self.ty,
            time: now,
            key: self.key.as_deref(),
            deliverat: self
                .deliver_at
                .or_else(|| self.deliver_after.map(|delay| now.after(delay))),
            datacontenttype: "application/json",
            data,
        };
        let body = Body {
            content_type: "application/cloudevents+json",
            idempotency_key: self.idempotency_key.clone(),
            text: serde_json::to_string(&event).expect("an event is texts and JSON"),
        };
        let reply = options.client()?.post(&["messages"], Some(body))?;
        match options.output {
            Format::Json => output::line(reply.text())?,
            Format::Table => {
                for receipt in reply.read::<Answer>()?.receipts {
                    let Receipt {
                        id,
                        status,
                        durability,
                    } = receipt;
                    output::line(&format!("{status} {id} ({durability})"))?;
                }
            }
        }
        Ok(OK)
    }
}
