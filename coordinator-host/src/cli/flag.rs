//! `coordinator flag`: how the flags of plugins stand, and switching them on the running host.

use clap::{Subcommand, ValueEnum};
use minreq::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Body;
use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;

/// Looks at the flags of plugins and switches them, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Flag {
    /// Lists flags: whether each is on, and who says so.
    List,
    /// Switches one, at once and for good, on every host that shares the database.
    Set {
        /// Such as `lms.new_checkout`.
        flag: String,
        /// How it is to stand.
        to: Word,
        /// Why, for the history.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Lets it stand as the configuration file, or else its author, says.
    Reset {
        /// Such as `lms.new_checkout`.
        flag: String,
    },
}

/// How a flag stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Word {
    /// It is on.
    On,
    /// It is off.
    Off,
}

#[derive(Deserialize)]
struct Changed {
    revision: u64,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<View>,
}

#[derive(Deserialize)]
struct View {
    id: String,
    doc: String,
    on: bool,
    default: bool,
    set: Option<bool>,
}

impl Flag {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
            Self::Set { flag, to, comment } => {
                let body = Body::json(&json!({"on": *to == Word::On, "comment": comment}));
                let word = if *to == Word::On { "on" } else { "off" };
                let done = format!("`{flag}` is {word}");
                change(Method::Put, flag, Some(body), &done, options)
            }
            Self::Reset { flag } => {
                let done = format!("`{flag}` is as its author, or the configuration file, says");
                change(Method::Delete, flag, None, &done, options)
            }
        }
    }
}

fn change(
    method: Method,
    flag: &str,
    body: Option<Body>,
    done: &str,
    options: &Options,
) -> Result<u8, Failure> {
    let client = options.client()?;
    let reply = client.change(method, &["flags", flag], body, None)?;
    match options.output {
        Format::Json => output::line(reply.text())?,
        Format::Table => {
            let Changed { revision } = reply.read()?;
            output::line(&format!("{done} (revision {revision})"))?;
        }
    }
    Ok(OK)
}

fn list(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["flags"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Answer { items } = reply.read()?;
    let word = |on: bool| if on { "on" } else { "off" }.to_owned();
    let rows = items.into_iter().map(|flag| {
        let by = match flag.set {
            Some(_) => "operator",
            None => "author",
        };
        [
            flag.id,
            word(flag.on),
            by.to_owned(),
            word(flag.default),
            flag.doc,
        ]
    });
    output::table(
        ["FLAG", "IS", "SAID BY", "DEFAULT", "WHAT IT SWITCHES"],
        rows,
        "no plugin declares a flag",
    )?;
    Ok(OK)
}
