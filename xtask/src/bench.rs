//! `cargo xtask bench`: what an operator waits for and pays, what the plugin boundary costs, and what delivery costs on
//! each engine; in release builds, in one run, kept in `BENCHMARKS.md`.

mod boundary;
mod delivery;
mod start;
mod table;

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::interrupt::Interrupt;
use crate::steps::Steps;
use crate::workspace::Workspace;
use table::table;

/// Runs of each start; the median counts.
const RUNS: usize = 11;

pub(crate) fn bench(workspace: &Workspace, interrupt: &Interrupt) -> Result<()> {
    Steps::new(workspace).cargo(&["build", "--workspace", "--release"], &[])?;
    let folder = workspace.fresh_folder("bench")?;
    println!("==> measuring starts, {RUNS} runs each");
    let starts = start::rows(workspace, &folder, interrupt)?;
    println!("==> measuring the boundary");
    let boundary = boundary::rows(workspace)?;
    println!("==> measuring delivery");
    let delivery = delivery::rows(workspace, &folder, interrupt)?;
    delivery::plot(workspace, &folder, interrupt)?;
    let text = [
        table("Start and memory", &starts),
        table("The plugin boundary, plugin over native", &boundary),
        table(
            "Delivery: journal and dispatcher, native handlers, 1 KiB",
            &delivery,
        ),
    ]
    .concat();
    print!("{text}");
    keep(workspace, &text)?;
    // It lies under the target folder: `cargo clean` takes what is left.
    drop(fs::remove_dir_all(folder));
    let all = || starts.iter().chain(&boundary).chain(&delivery);
    let missed = all().filter(|row| row.is_missed()).count();
    ensure!(
        missed == 0,
        "{missed} of {} targets were missed",
        all().count()
    );
    Ok(())
}

/// Writes the table where readers look for it.
fn keep(workspace: &Workspace, table: &str) -> Result<()> {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.context("failed to ask for the date")?.stdout;
    let date = String::from_utf8_lossy(&date);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let text = format!(
        "# Benchmarks\n\nMeasured on {} by `cargo xtask bench`, in one run on {processors} processors; trust ratios, not \
         single times.\n{table}\n![What a delivery costs]({})\n",
        date.trim(),
        delivery::PICTURE,
    );
    let path = workspace.root().join("BENCHMARKS.md");
    fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))
}
