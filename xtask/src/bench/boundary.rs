//! What the plugin boundary costs, as `coordinator-bench` measures it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::table::Row;
use crate::workspace::{Profile, Workspace};

/// One figure, as it prints it.
#[derive(serde::Deserialize)]
struct Figure {
    what: String,
    unit: String,
    median: f64,
    worst: f64,
    target: f64,
    at_least: bool,
    runs: usize,
}

/// Plugin over native, and the loading of files.
pub(super) fn rows(workspace: &Workspace) -> Result<Vec<Row>> {
    let output = Command::new(workspace.built(Profile::Release, "coordinator-bench"))
        .arg(workspace.built_plugin(Profile::Release, "echo"))
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start `coordinator-bench`")?;
    ensure!(output.status.success(), "`coordinator-bench` failed");
    let text = String::from_utf8(output.stdout).context("its output is not text")?;
    let lines = text.lines().map(|line| {
        let figure: Figure = serde_json::from_str(line).context("a line of it is not JSON")?;
        Ok(Row {
            what: figure.what,
            median: figure.median,
            worst: figure.worst,
            unit: match figure.unit.as_str() {
                "ms" => "ms",
                "µs" => "µs",
                _ => "×",
            },
            target: Some(figure.target),
            at_least: figure.at_least,
            runs: figure.runs,
        })
    });
    lines.collect()
}
