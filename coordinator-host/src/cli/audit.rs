//! `coordinator audit`: who did what, and whether the log is whole.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::exit::{Failure, OK, PROBLEMS};
use super::options::{Format, Options};
use super::output;

/// Reads and verifies the audit log, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Lists entries, newest first.
    List(List),
    /// Checks that no entry was changed or taken out: exits with 1 if one was.
    Verify(Verify),
}

/// Which entries.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Who: the name of an API key.
    #[arg(long)]
    actor: Option<String>,
    /// What: `plugin.install`, or `plugin` for everything that begins so.
    #[arg(long)]
    action: Option<String>,
    /// To what: a plugin, a setting, a message.
    #[arg(long)]
    subject: Option<String>,
    /// From this time on: 2026-01-31T09:30:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Entries at most: 1 to 500.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Goes on where another list ended.
    #[arg(long)]
    cursor: Option<String>,
}

/// What to compare with.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What an earlier `verify` has said: proves that nothing up to there was rewritten since.
    #[arg(long, value_name = "ROWS:HASH")]
    head: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Entry>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    sequence: u64,
    at: String,
    actor: String,
    action: String,
    subject: String,
    detail: Value,
    reason: Option<String>,
    address: Option<String>,
}

/// Letters of a detail in the table; JSON has all of it.
const DETAIL: usize = 80;

#[derive(Deserialize)]
struct Report {
    rows: u64,
    head: Option<String>,
    broken: Option<Broken>,
}

#[derive(Deserialize)]
struct Broken {
    sequence: u64,
    reason: String,
}

impl Audit {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List(list) => list.run(options),
            Self::Verify(verify) => verify.run(options),
        }
    }
}

impl List {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let filters = [
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("subject", self.subject.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        let reply = options.client()?.get(&["audit"], &filters)?;
        if options.output == Format::Json {
            output::line(reply.text())?;
            return Ok(OK);
        }
        let Page { items, next } = reply.read()?;
        let rows = items.into_iter().map(|entry| {
            [
                entry.sequence.to_string(),
                entry.at,
                entry.actor,
                entry.action,
                entry.subject,
                entry.address.unwrap_or_default(),
                entry.reason.unwrap_or_default(),
                short(&entry.detail),
            ]
        });
        let headings = [
            "ENTRY", "AT", "ACTOR", "ACTION", "SUBJECT", "ADDRESS", "REASON", "DETAIL",
        ];
        output::table(headings, rows, "the audit log has no such entry")?;
        if let Some(next) = next {
            output::note(&format!("there are more: --cursor {next}"))?;
        }
        Ok(OK)
    }
}

fn short(detail: &Value) -> String {
    let text = match detail {
        Value::Object(fields) if fields.is_empty() => String::new(),
        detail => detail.to_string(),
    };
    if text.chars().count() <= DETAIL {
        return text;
    }
    text.chars().take(DETAIL - 1).chain(['…']).collect()
}

impl Verify {
    fn run(&self, options: &Options) -> Result<u8, Failure> {
        let filters = [("head", self.head.clone())];
        // Every row is read.
        let client = options.client()?.patient();
        let reply = client.get(&["audit", "verification"], &filters)?;
        let report: Report = reply.read()?;
        if options.output == Format::Json {
            output::line(reply.text())?;
        } else {
            report.tell()?;
        }
        Ok(if report.broken.is_some() {
            PROBLEMS
        } else {
            OK
        })
    }
}

impl Report {
    fn tell(&self) -> Result<(), output::PrintError> {
        match (&self.broken, &self.head) {
            (Some(broken), _) => output::line(&format!(
                "entry {} does not hold: {}\n{} entries before it do",
                broken.sequence, broken.reason, self.rows
            )),
            (None, Some(head)) => output::line(&format!(
                "{} entries hold\nkeep this elsewhere, for `--head`: {}:{head}",
                self.rows, self.rows
            )),
            (None, None) => output::line("the audit log is empty"),
        }
    }
}
