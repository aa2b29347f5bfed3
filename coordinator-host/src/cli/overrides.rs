//! What `wiring` and `settings` have in common: setting values over the configuration file, their history, going back.

use clap::Args;
use coordinator_message::Timestamp;
use minreq::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::Body;
use super::exit::{Failure, OK};
use super::given::words;
use super::options::{Format, Options};
use super::{confirm, output};

/// Values to set.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Such as `lms.enrol.timeout=10s` or `base_url=https://lms.example.org`.
    #[arg(value_name = "KEY=VALUE", value_parser = words, required_unless_present = "unset")]
    pairs: Vec<(String, String)>,
    /// Takes an override away, and the configuration file decides again. May be repeated.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Why, for the history.
    #[arg(long)]
    comment: Option<String>,
    /// Only if this is still the revision in force.
    #[arg(long, value_name = "REVISION")]
    expect: Option<u64>,
}

/// How much of the history.
#[derive(Debug, Args)]
pub(crate) struct Recent {
    /// So many at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// Where to go back to.
#[derive(Debug, Args)]
pub(crate) struct Back {
    /// The revision whose state is wanted; 0 is the configuration file alone.
    revision: u64,
    /// Why, for the history.
    #[arg(long)]
    comment: Option<String>,
    /// Without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Deserialize)]
struct Changed {
    revision: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Revision>,
}

#[derive(Deserialize)]
struct Revision {
    number: u64,
    at: Timestamp,
    actor: String,
    action: String,
    reason: Option<String>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    key: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Values {
    /// `full` makes the whole key of what was typed, and `read` the value of a key's words.
    pub(crate) fn run(
        &self,
        path: &[&str],
        full: impl Fn(&str) -> String,
        read: impl Fn(&str, &str) -> Value,
        options: &Options,
    ) -> Result<u8, Failure> {
        let mut changes = Map::new();
        for (key, words) in &self.pairs {
            changes.insert(full(key), read(key, words));
        }
        for key in &self.unset {
            changes.insert(full(key), Value::Null);
        }
        let body = Body::json(&json!({"changes": changes, "comment": self.comment}));
        let client = options.client()?.patient();
        let reply = client.change(Method::Patch, path, Some(body), self.expect)?;
        match options.output {
            Format::Json => output::line(reply.text())?,
            Format::Table => {
                let Changed { revision } = reply.read()?;
                output::line(&format!("in force, revision {revision}"))?;
            }
        }
        Ok(OK)
    }
}

impl Recent {
    pub(crate) fn run(&self, path: &[&str], options: &Options) -> Result<u8, Failure> {
        let path: Vec<&str> = path.iter().copied().chain(["history"]).collect();
        let limit = Some(self.limit.to_string());
        let reply = options.client()?.get(&path, &[("limit", limit)])?;
        if options.output == Format::Json {
            output::line(reply.text())?;
            return Ok(OK);
        }
        let Page { items } = reply.read()?;
        let mut rows = Vec::new();
        for revision in items {
            for change in revision.changes {
                rows.push([
                    revision.number.to_string(),
                    revision.at.to_string(),
                    revision.actor.clone(),
                    revision.action.clone(),
                    change.key,
                    shown(change.before),
                    shown(change.after),
                    revision.reason.clone().unwrap_or_default(),
                ]);
            }
        }
        output::table(
            [
                "REVISION", "AT", "BY", "ACTION", "KEY", "BEFORE", "AFTER", "WHY",
            ],
            rows,
            "nothing was ever set",
        )?;
        Ok(OK)
    }
}

impl Back {
    pub(crate) fn run(&self, path: &[&str], options: &Options) -> Result<u8, Failure> {
        let question = format!("Set everything as it was at revision {}?", self.revision);
        if !confirm::confirmed(&question, self.yes)? {
            return Ok(OK);
        }
        let path: Vec<&str> = path.iter().copied().chain(["revert"]).collect();
        let body = Body::json(&json!({"revision": self.revision, "comment": self.comment}));
        let reply = options.client()?.patient().post(&path, Some(body))?;
        match options.output {
            Format::Json => output::line(reply.text())?,
            Format::Table => {
                let Changed { revision } = reply.read()?;
                let back = self.revision;
                output::line(&format!(
                    "as it was at revision {back}, revision {revision}"
                ))?;
            }
        }
        Ok(OK)
    }
}

/// A value of an override, or that there was none.
pub(crate) fn shown(value: Option<Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
