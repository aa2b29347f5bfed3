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

    /// The same, ended now if it was open: what comes later is another matter.
    pub(crate) fn until_now(&self) -> Self {
        Self {
            since: self.since,
            until: Some(self.until.unwrap_or_else(Timestamp::now)),
        }
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
