//! `coordinator check`: what `serve` would complain about, all at once, before it matters.

use clap::Args;
use coordinator_wiring::{Finding, Severity};
use serde_json::json;

use super::exit::{Failure, OK, PLUGIN, PROBLEMS, UNAVAILABLE};
use super::options::{Format, Options};
use super::output::{self, PrintError};
use crate::app::CheckReport;

/// Loads the plugins and binds the wiring as `serve` would, then asks the plugins' own checks. A plugin that has checks is
/// started for them and stopped again, beside whatever runs; with --no-start, nothing is started.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Leaves the plugins' own checks out.
    #[arg(long)]
    no_start: bool,
    /// The same as `--output`.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Check {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let config = options.config()?;
        let mut report = crate::app::check(&config);
        if !self.no_start {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::new(UNAVAILABLE, error))?;
            runtime.block_on(report.ask_plugins(&config));
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
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    if report.plugins.iter().any(|plugin| !plugin.ok) {
        PLUGIN
    } else if report.findings.iter().any(is_error) {
        PROBLEMS
    } else {
        OK
    }
}

fn print(report: &CheckReport) -> Result<(), PrintError> {
    for plugin in &report.plugins {
        match &plugin.error {
            None => output::line(&format!("ok  {}  {}", plugin.name, plugin.path.display()))?,
            Some(error) => output::line(&format!("error[plugin] {}: {error}", plugin.name))?,
        }
    }
    for finding in &report.findings {
        output::line(&finding.to_string())?;
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
                "ok": plugin.ok,
                "error": plugin.error,
            })
        })
        .collect();
    output::json(&json!({ "plugins": plugins, "findings": report.findings }))
}
