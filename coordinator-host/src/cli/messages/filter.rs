//! Filters that several lists share.

use clap::Args;
use coordinator_message::Timestamp;

use crate::cli::input;

/// From when to when.
#[derive(Debug, Args)]
pub(crate) struct Period {
    /// Only from then on: a time (RFC 3339), or an age such as `15m`.
    #[arg(long, value_parser = input::time)]
    since: Option<Timestamp>,
    /// Only until then: a time (RFC 3339), or an age such as `15m`.
    #[arg(long, value_parser = input::time)]
    until: Option<Timestamp>,
}

/// What messages are chosen by.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Only of this type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Only in this state: delayed, unhandled, pending, retrying, parked, dead or acked.
    #[arg(long)]
    state: Option<String>,
    /// Only with this ordering key.
    #[arg(long)]
    key: Option<String>,
    /// Only those that descend from one cause.
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// Only from this CloudEvents source.
    #[arg(long, conflicts_with = "plugin")]
    source: Option<String>,
    /// Only published by this plugin.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only with this text in the payload.
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    period: Period,
}

/// How much of a list.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the last page ended, as it said itself.
    #[arg(long)]
    cursor: Option<String>,
}

impl Period {
    /// As the API takes them.
    pub(crate) fn filters(&self) -> [(&'static str, Option<String>); 2] {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        [("since", text(self.since)), ("until", text(self.until))]
    }
}

impl Choice {
    /// As the API takes them.
    pub(crate) fn filters(&self) -> Vec<(&'static str, Option<String>)> {
        let mut filters = vec![
            ("type", self.ty.clone()),
            ("state", self.state.clone()),
            ("key", self.key.clone()),
            ("correlation", self.correlation.clone()),
            ("source", self.source.clone()),
            ("plugin", self.plugin.clone()),
            ("q", self.text.clone()),
        ];
        filters.extend(self.period.filters());
        filters
    }
}

impl Paging {
    /// As the API takes them.
    pub(crate) fn filters(&self) -> [(&'static str, Option<String>); 2] {
        [
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ]
    }
}
