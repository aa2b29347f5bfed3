//! `cargo xtask bench`: what an operator waits for and pays, what the plugin boundary costs, and what delivery costs on
//! each engine; in release builds, in one run, kept in `BENCHMARKS.md`.

mod boundary;
mod delivery;
mod start;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::interrupt::Interrupt;
use crate::steps::Steps;
use crate::workspace::Workspace;
use table::{Row, table};

/// The tables, in their order.
const HEADINGS: [&str; 3] = [STARTS, BOUNDARY, DELIVERY];
const STARTS: &str = "Start and memory";
const BOUNDARY: &str = "The plugin boundary, plugin over native";
const DELIVERY: &str = "Delivery: journal and dispatcher, native handlers, 1 KiB";

/// What the picture shows.
const PICTURED: &str = "\
With many types on Redis a batch holds fewer messages, since each type is in a lane of its own, until it holds one: that is
the rise, and its end (ARCHITECTURE.md, *Decisions*).";

/// Runs of each start; the median counts.
const RUNS: usize = 11;

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything.
    All,
    /// What delivery costs.
    Delivery,
}

/// One table: its heading and its rows.
type Section = (&'static str, Vec<Row>);

pub(crate) fn bench(workspace: &Workspace, interrupt: &Interrupt, part: Part) -> Result<()> {
    let mut build = vec!["build", "--workspace", "--release"];
    if part == Part::Delivery {
        build.extend(["--bin", "coordinator-delivery-bench"]);
    }
    Steps::new(workspace).cargo(&build, &[])?;
    let folder = workspace.fresh_folder("bench")?;
    let mut sections: Vec<Section> = Vec::new();
    if part == Part::All {
        println!("==> measuring starts, {RUNS} runs each");
        let starts = start::rows(workspace, &folder, interrupt)?;
        sections.push((STARTS, starts));
        println!("==> measuring the boundary");
        let boundary = boundary::rows(workspace)?;
        sections.push((BOUNDARY, boundary));
    }
    println!("==> measuring delivery");
    let delivery = delivery::rows(workspace, &folder, interrupt)?;
    sections.push((DELIVERY, delivery));
    for (heading, rows) in &sections {
        print!("{}", table(heading, rows));
    }
    keep(workspace, &sections)?;
    delivery::plot(workspace, &folder, interrupt)?;
    // It lies under the target folder: `cargo clean` takes what is left.
    drop(fs::remove_dir_all(folder));
    let all = || sections.iter().flat_map(|(_, rows)| rows);
    let missed = all().filter(|row| row.is_missed()).count();
    ensure!(
        missed == 0,
        "{missed} of {} targets were missed",
        all().count()
    );
    Ok(())
}

/// Writes the tables where readers look for them; those that were not measured now stay.
fn keep(workspace: &Workspace, sections: &[Section]) -> Result<()> {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.context("failed to ask for the date")?.stdout;
    let date = String::from_utf8_lossy(&date);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let path = workspace.root().join("BENCHMARKS.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut text = "# Benchmarks\n\nMeasured by `cargo xtask bench`, each part in one run; trust ratios, not single \
                    times.\n"
        .to_owned();
    for heading in HEADINGS {
        if let Some((_, rows)) = sections.iter().find(|(measured, _)| *measured == heading) {
            text.push_str(&table(heading, rows));
            writeln!(text, "\n{}, {processors} processors.", date.trim())
                .expect("writing to a string cannot fail");
        } else if let Some(at) = before.find(&format!("\n## {heading}\n")) {
            let rest = &before[at + 1..];
            let end = rest.find("\n## ").unwrap_or(rest.len());
            let end = rest[..end].find("\n![").unwrap_or(end);
            text.push('\n');
            text.push_str(rest[..end].trim_end());
            text.push('\n');
        }
    }
    writeln!(
        text,
        "\n![What a delivery costs]({})\n\n{PICTURED}",
        delivery::PICTURE
    )
    .expect("writing to a string cannot fail");
    fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))
}
