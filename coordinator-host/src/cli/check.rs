//! `coordinator check`: what `serve` would complain about, all at once, before it matters.

use clap::Args;
use coordinator_config::Source;
use serde_json::json;

use super::exit::{Failure, OK, PLUGIN, PROBLEMS};
use super::looked_at::{LookedAt, runtime};
use super::options::{Format, Options};
use super::output::{self, PrintError};
use crate::app::{CheckReport, Found};

/// Loads the plugins and binds the wiring as `serve` would, with what was installed and set on the running host, then asks
/// the plugins' own checks. A plugin that has checks is started for them and stopped again, beside whatever runs; with
/// --no-start, nothing is started.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Leaves the plugins' own checks out.
    #[arg(long)]
    no_start: bool,
    #[command(flatten)]
    looked_at: LookedAt,
    /// The same as `--output`.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Check {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let decided = self.looked_at.read(options)?;
        let mut report = crate::app::check(&decided);
        if !self.no_start {
            runtime()?.block_on(report.ask_plugins(&decided.config));
        }
        match self.format.unwrap_or(options.output) {
            Format::Json => print_json(&report)?,
            Format::Table => print(&report)?,
        }
        Ok(verdict(&report))
    }
}

/// A plugin that does not load comes first: other findings may follow from it.
fn verdict(report: &CheckReport) -> u8 {
    if report.plugins.iter().any(|plugin| !plugin.ok) {
        PLUGIN
    } else if report.findings.iter().any(Found::is_error) {
        PROBLEMS
    } else {
        OK
    }
}

fn print(report: &CheckReport) -> Result<(), PrintError> {
    for plugin in &report.plugins {
        match &plugin.error {
            None => {
                let installed = match plugin.source {
                    Source::Override => "  (installed)",
                    _ => "",
                };
                let (name, path) = (&plugin.name, plugin.path.display());
                output::line(&format!("ok  {name}  {path}{installed}"))?;
            }
            Some(error) => output::line(&format!("error[plugin] {}: {error}", plugin.name))?,
        }
    }
    for found in &report.findings {
        output::line(&found.finding.to_string())?;
        let sources: Vec<_> = found.sources.iter().map(ToString::to_string).collect();
        if !sources.is_empty() {
            output::line(&format!("  written in: {}", sources.join(", ")))?;
        }
    }
    let refused = report.plugins.iter().filter(|plugin| !plugin.ok).count();
    output::line(&format!(
        "plugins: {}, refused: {refused}, findings: {}",
        report.plugins.len(),
        report.findings.len()
    ))
}

fn print_json(report: &CheckReport) -> Result<(), PrintError> {
    let plugins: Vec<_> = report
        .plugins
        .iter()
        .map(|plugin| {
            json!({
                "name": plugin.name,
                "path": plugin.path,
                "source": plugin.source.to_string(),
                "ok": plugin.ok,
                "error": plugin.error,
            })
        })
        .collect();
    output::json(&json!({ "plugins": plugins, "findings": report.findings }))
}
