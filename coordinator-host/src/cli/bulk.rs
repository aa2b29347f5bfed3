//! Replaying and discarding many: counted and frozen first, shown, confirmed, and then exactly that is done.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Body, Client, Reply};
use super::confirm::confirmed;
use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::{output, progress};

/// How it is done.
#[derive(Debug, Args)]
pub(crate) struct Manner {
    /// Count and freeze what fits, and do nothing: it prints a plan.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do what a dry run has counted, and nothing that came later.
    #[arg(long, value_name = "PLAN", conflicts_with = "dry_run")]
    pub(super) plan: Option<String>,
    /// Without asking.
    #[arg(long)]
    pub(super) yes: bool,
}

/// What is done with what is chosen.
pub(super) struct Bulk<'a> {
    /// Where it is asked for.
    pub(super) path: &'a [&'a str],
    /// `Replay` or `Discard`.
    pub(super) verb: &'static str,
    /// What is chosen, as the API takes it: `select` or `filter`, and `handler`.
    pub(super) chosen: Value,
    /// Deliveries in a second.
    pub(super) rate: Option<u32>,
    /// How.
    pub(super) manner: &'a Manner,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
    first: Option<String>,
    last: Option<String>,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    unknown: Vec<String>,
    #[serde(default)]
    payload_dropped: u64,
    plan: String,
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    scheduled: Option<u64>,
    #[serde(default)]
    discarded: Option<u64>,
    #[serde(default)]
    not_found: u64,
    #[serde(default)]
    payload_dropped: u64,
}

impl Bulk<'_> {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let client = options.client()?.patient();
        let plan = match &self.manner.plan {
            Some(plan) => plan.clone(),
            None => {
                let counted = self.count(&client)?;
                if self.manner.dry_run && options.output == Format::Json {
                    output::line(counted.text())?;
                    return Ok(OK);
                }
                let counted: Counted = counted.read()?;
                if self.manner.dry_run {
                    counted.print()?;
                    return Ok(OK);
                }
                let question = format!("{} {} deliveries?", self.verb, counted.count);
                if counted.count > 0 && !confirmed(&question, self.manner.yes)? {
                    return Ok(OK);
                }
                counted.plan
            }
        };
        let done = self.go(&client, &plan)?;
        say(&done, options)
    }

    fn count(&self, client: &Client) -> Result<Reply, Failure> {
        let _waiting = progress::waiting("counting");
        let mut asked = self.chosen.clone();
        asked["dry_run"] = json!(true);
        Ok(client.post(self.path, Some(Body::json(&asked)))?)
    }

    fn go(&self, client: &Client, plan: &str) -> Result<Reply, Failure> {
        let _waiting = progress::waiting("at work");
        let mut asked = json!({ "plan": plan });
        if let Some(rate) = self.rate {
            asked["rate"] = json!(rate);
        }
        Ok(client.post(self.path, Some(Body::json(&asked)))?)
    }
}

impl Counted {
    fn print(self) -> Result<(), output::PrintError> {
        let unknown = (!self.unknown.is_empty()).then(|| self.unknown.join(" "));
        let dropped = (self.payload_dropped > 0).then(|| self.payload_dropped.to_string());
        output::fields([
            ("deliveries", Some(self.count.to_string())),
            ("first", self.first),
            ("last", self.last),
            ("since", self.since),
            ("until", self.until),
            ("unknown", unknown),
            ("payload dropped", dropped),
            ("plan", Some(self.plan)),
        ])
    }
}

/// Prints what was done, and what could not be.
fn say(done: &Reply, options: &Options) -> Result<u8, Failure> {
    if options.output == Format::Json {
        output::line(done.text())?;
        return Ok(OK);
    }
    let done: Done = done.read()?;
    if let Some(scheduled) = done.scheduled {
        output::line(&format!("scheduled deliveries: {scheduled}"))?;
    }
    if let Some(discarded) = done.discarded {
        output::line(&format!("discarded deliveries: {discarded}"))?;
    }
    if done.not_found > 0 {
        output::note(&format!(
            "messages that are gone, or not for it: {}",
            done.not_found
        ))?;
    }
    if done.payload_dropped > 0 {
        let dropped = done.payload_dropped;
        output::note(&format!(
            "messages that have no payload any more: {dropped}"
        ))?;
    }
    Ok(OK)
}
