//! What the plugin boundary costs, as `coordinator-bench` measures it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::table::Row;
use crate::workspace::{Profile, Workspace};

/// One ratio, as it prints it.
#[derive(serde::Deserialize)]
struct Ratio {
    what: String,
    median: f64,
    worst: f64,
    target: f64,
    at_least: bool,
    pairs: usize,
}

/// Plugin over native.
pub(super) fn rows(workspace: &Workspace) -> Result<Vec<Row>> {
    let output = Command::new(workspace.built(Profile::Release, "coordinator-bench"))
        .arg(workspace.built_plugin(Profile::Release, "echo"))
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start `coordinator-bench`")?;
    ensure!(output.status.success(), "`coordinator-bench` failed");
    let text = String::from_utf8(output.stdout).context("its output is not text")?;
    let lines = text.lines().map(|line| {
        let ratio: Ratio = serde_json::from_str(line).context("a line of it is not JSON")?;
        Ok(Row {
            what: ratio.what,
            median: ratio.median,
            worst: ratio.worst,
            unit: "×",
            target: Some(ratio.target),
            at_least: ratio.at_least,
            runs: ratio.pairs,
        })
    });
    lines.collect()
}
