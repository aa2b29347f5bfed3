//! `coordinator messages replay` and `discard`: some messages by their ids, or, to replay, all that fit a filter.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Choice, replay, say_scheduled};
use crate::cli::bulk::{Bulk, Manner};
use crate::cli::client::Body;
use crate::cli::exit::{Failure, OK};
use crate::cli::options::{Format, Options};
use crate::cli::{confirm, output};

/// What to deliver again.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The messages' ids.
    #[arg(
        required_unless_present_any = [
            "all", "plan", "ty", "state", "key", "correlation", "source", "plugin", "text", "since", "until",
        ],
        conflicts_with_all = [
            "all", "plan", "ty", "state", "key", "correlation", "source", "plugin", "text", "since", "until",
        ]
    )]
    ids: Vec<String>,
    /// Every message in the journal, to be narrowed by the filters.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    /// Only to this handler, such as `lms.enrol`; with --state, of the messages in that state for it.
    #[arg(long)]
    handler: Option<String>,
    /// At most so many deliveries in a second.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    #[command(flatten)]
    manner: Manner,
}

/// What not to deliver.
#[derive(Debug, Args)]
pub(crate) struct Discard {
    /// The messages' ids.
    #[arg(required = true)]
    ids: Vec<String>,
    /// Only for this handler, such as `lms.enrol`.
    #[arg(long)]
    handler: Option<String>,
    /// Without asking.
    #[arg(long)]
    yes: bool,
}

impl Replay {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        if let ([id], None, false) = (&self.ids[..], self.rate, self.manner.dry_run) {
            let client = options.client()?;
            let scheduled = replay(&client, "messages", id, self.handler.as_deref())?;
            say_scheduled(scheduled, options)?;
            return Ok(OK);
        }
        let select = if self.ids.is_empty() {
            json!({ "filter": self.filter() })
        } else {
            json!({ "messages": self.ids })
        };
        let bulk = Bulk {
            path: &["replays"],
            verb: "Replay",
            chosen: json!({ "select": select, "handler": self.handler }),
            rate: self.rate,
            manner: &self.manner,
        };
        bulk.run(options)
    }

    fn filter(&self) -> Value {
        let mut filter = Map::new();
        for (name, value) in self.choice.filters() {
            let Some(value) = value else { continue };
            match name {
                "plugin" => filter.insert("source".into(), format!("/plugins/{value}").into()),
                name => filter.insert(name.into(), value.into()),
            };
        }
        filter.into()
    }
}

impl Discard {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let whose = self.handler.as_deref().unwrap_or("every handler");
        let many = self.ids.len();
        let question = format!("Discard {many} messages, which {whose} will not get?");
        if !confirm::confirmed(&question, self.yes)? {
            return Ok(OK);
        }
        discard_each("messages", &self.ids, self.handler.as_deref(), options)
    }
}

/// Discards one after the other, and says how many deliveries that were; the first refusal ends it.
pub(in crate::cli) fn discard_each(
    place: &str,
    ids: &[String],
    handler: Option<&str>,
    options: &Options,
) -> Result<u8, Failure> {
    #[derive(serde::Deserialize)]
    struct Discarded {
        discarded: u64,
    }
    let client = options.client()?;
    let wanted = match handler {
        Some(handler) => json!({ "handler": handler }),
        None => json!({}),
    };
    let mut discarded = 0;
    for id in ids {
        let reply = client.post(&[place, id, "discard"], Some(Body::json(&wanted)))?;
        discarded += reply.read::<Discarded>()?.discarded;
    }
    match options.output {
        Format::Json => output::json(&json!({ "discarded": discarded }))?,
        Format::Table => output::line(&format!("discarded deliveries: {discarded}"))?,
    }
    Ok(OK)
}
