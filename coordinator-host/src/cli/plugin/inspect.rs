//! `coordinator plugin inspect FILE`: the file's own description, as its section has it.

use std::path::PathBuf;

use clap::Args;
use coordinator_loader::Inspection;
use serde_json::{Value, json};

use crate::cli::exit::{Failure, OK, PLUGIN};
use crate::cli::options::{Format, Options};
use crate::cli::output::{self, PrintError};

/// Reads a plugin file and runs none of it.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The `.so` file.
    file: PathBuf,
}

impl Inspect {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let inspection = coordinator_loader::inspect(&self.file)
            .map_err(|refusal| Failure::new(PLUGIN, refusal))?;
        match options.output {
            Format::Json => print_json(&inspection)?,
            Format::Table => print(&inspection)?,
        }
        Ok(OK)
    }
}

fn print_json(inspection: &Inspection) -> Result<(), PrintError> {
    let section = &inspection.section;
    let of = |kind| lines(inspection, kind).collect::<Vec<_>>();
    output::json(&json!({
        "path": inspection.path,
        "size": inspection.size,
        "sha256": inspection.sha256,
        "plugin": section.head,
        "settings": of("setting"),
        "routes": of("route"),
        "handlers": of("handler"),
        "steps": of("step"),
        "schedules": of("schedule"),
        "commands": of("command"),
        "checks": of("check"),
        "flags": of("flag"),
        "messages": of("message"),
    }))
}

fn print(inspection: &Inspection) -> Result<(), PrintError> {
    let head = &inspection.section.head;
    output::fields([
        ("plugin", Some(format!("{} {}", head.name, head.version))),
        ("file", Some(inspection.path.display().to_string())),
        ("size", Some(format!("{} bytes", inspection.size))),
        ("sha256", Some(inspection.sha256.clone())),
        (
            "built with",
            Some(format!("coordinator-sdk {}, ABI {}", head.sdk, head.abi)),
        ),
        (
            "compiler",
            Some(format!("{} for {}", head.rustc, head.target)),
        ),
        ("panics", Some(head.panic.clone())),
    ])?;
    let settings = lines(inspection, "setting").map(|line| {
        let required = if line["required"] == true {
            "required"
        } else {
            ""
        };
        [
            text(line, "setting"),
            text(line, "kind"),
            required.to_owned(),
            text(line, "doc"),
        ]
    });
    part("settings", ["NAME", "KIND", "", "MEANING"], settings)?;
    let routes = lines(inspection, "route").map(|line| {
        [
            text(line, "method"),
            text(line, "route"),
            text(line, "access"),
            text(line, "doc"),
        ]
    });
    part("routes", ["METHOD", "PATH", "ACCESS", "MEANING"], routes)?;
    let handlers = lines(inspection, "handler")
        .map(|line| [text(line, "handler"), text(line, "type"), text(line, "doc")]);
    part("handlers", ["NAME", "TAKES", "MEANING"], handlers)?;
    print_more(inspection)?;
    let messages =
        lines(inspection, "message").map(|line| [text(line, "message"), text(line, "doc")]);
    part("message types", ["TYPE", "MEANING"], messages)
}

/// What a plugin offers beside settings, routes and handlers.
fn print_more(inspection: &Inspection) -> Result<(), PrintError> {
    let steps = lines(inspection, "step").map(|line| {
        [
            text(line, "step"),
            text(line, "pipeline"),
            text(line, "doc"),
        ]
    });
    part("steps", ["NAME", "PIPELINE", "MEANING"], steps)?;
    let schedules = lines(inspection, "schedule").map(|line| {
        [
            text(line, "schedule"),
            text(line, "cron"),
            text(line, "zone"),
            text(line, "doc"),
        ]
    });
    part("schedules", ["NAME", "CRON", "ZONE", "MEANING"], schedules)?;
    for (heading, kind) in [("commands", "command"), ("checks", "check")] {
        let rows = lines(inspection, kind).map(|line| [text(line, kind), text(line, "doc")]);
        part(heading, ["NAME", "MEANING"], rows)?;
    }
    let flags = lines(inspection, "flag").map(|line| {
        let default = if line["default"] == true { "on" } else { "off" };
        [text(line, "flag"), default.to_owned(), text(line, "doc")]
    });
    part("flags", ["NAME", "DEFAULT", "MEANING"], flags)
}

/// The lines of one kind: `{"route": …}`, `{"handler": …}`.
fn lines<'a>(inspection: &'a Inspection, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let lines = inspection.section.lines.iter();
    lines.filter(move |line| line.get(kind).is_some())
}

fn text(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_default().to_owned()
}

fn part<const N: usize>(
    name: &str,
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), PrintError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    output::heading(name)?;
    output::table(headings, rows, "")
}
