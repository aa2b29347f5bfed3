//! What delivery costs, as `coordinator-delivery-bench` measures it: each case in a process of its own, compared in turns.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::table::Row;
use crate::interrupt::{Interrupt, Interrupted};
use crate::workspace::{Profile, Workspace};

/// Where the plot is kept, below the root of the workspace.
pub(super) const PICTURE: &str = "docs/delivery-cost.png";

/// Each comparison is made so often; the median counts.
const PAIRS: usize = 3;
const MESSAGES: u64 = 200_000;
/// A disk that syncs in less than this, at the 99th percentile, is one whose latency can be promised; in milliseconds.
const QUICK_SYNC: f64 = 2.0;
/// Messages that wait when the host starts.
const BACKLOG: u64 = 1_000_000;

/// Runs cases.
struct Cases<'a> {
    workspace: &'a Workspace,
    folder: &'a Path,
    interrupt: &'a Interrupt,
}

impl Cases<'_> {
    /// Runs one case on a fresh folder and answers its figures.
    fn run(&self, case: &str, measures: &str) -> Result<Value> {
        let folder = self.folder.join("case");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).context("failed to make a folder")?;
        self.run_on(&folder, case, measures)
    }

    fn run_on(&self, folder: &Path, case: &str, measures: &str) -> Result<Value> {
        if self.interrupt.has_come() {
            return Err(Interrupted.into());
        }
        let output = Command::new(program(self.workspace))
            .arg(case)
            .args(measures.split_whitespace())
            .arg("--dir")
            .arg(folder)
            .stderr(Stdio::inherit())
            .output()
            .context("failed to start `coordinator-delivery-bench`")?;
        ensure!(
            output.status.success(),
            "the case `{case} {measures}` failed"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        println!("    {case} {measures}: {}", text.trim());
        serde_json::from_str(&text).context("its output is not JSON")
    }

    /// One figure of a case over one figure of another, in turns.
    fn ratios(&self, over: (&str, &str, &str), under: (&str, &str, &str)) -> Result<Vec<f64>> {
        let pairs = (0..PAIRS).map(|_| {
            let under = figure(&self.run(under.0, under.1)?, under.2)?;
            let over = figure(&self.run(over.0, over.1)?, over.2)?;
            Ok(over / under)
        });
        pairs.collect()
    }
}

fn program(workspace: &Workspace) -> std::path::PathBuf {
    workspace.built(Profile::Release, "coordinator-delivery-bench")
}

fn figure(figures: &Value, name: &str) -> Result<f64> {
    let figure = figures[name].as_f64();
    figure.with_context(|| format!("the case says no `{name}`"))
}

/// Throughput, latency, failures and backlog, against their targets.
pub(super) fn rows(
    workspace: &Workspace,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Vec<Row>> {
    let cases = Cases {
        workspace,
        folder,
        interrupt,
    };
    let mut rows = throughput(&cases)?;
    rows.extend(latency(&cases)?);
    rows.extend(failures(&cases)?);
    rows.extend(backlog(&cases)?);
    Ok(rows)
}

fn throughput(cases: &Cases<'_>) -> Result<Vec<Row>> {
    let load = |more: &str| format!("--messages {MESSAGES} {more}");
    let one = load("");
    let raw = format!("--messages {MESSAGES}");
    let bound = ("raw", raw.as_str(), "rows_per_s");
    let handled = ("load", one.as_str(), "messages_per_s");
    let three = load("--handlers 3");
    let mut rows = vec![Row::at_least(
        "sqlite strict, 1 handler: published, handled and acked over raw inserts",
        "×",
        0.5,
        cases.ratios(handled, bound)?,
    )];
    rows.push(Row::at_least(
        "sqlite strict: deliveries/s with 3 handlers over 1",
        "×",
        2.0,
        cases.ratios(
            ("load", &three, "deliveries_per_s"),
            ("load", &one, "deliveries_per_s"),
        )?,
    ));
    let busy = cases.run("load", &three)?;
    rows.push(Row::said(
        "sqlite strict, 3 handlers: deliveries/s",
        "/s",
        vec![figure(&busy, "deliveries_per_s")?],
    ));
    rows.push(Row::at_most(
        "sqlite strict, 3 handlers: peak memory",
        "MiB",
        150.0,
        vec![figure(&busy, "peak_mib")?],
    ));
    for engine in ["redis-everysec", "redis-always"] {
        let (load, raw) = (
            load(&format!("--engine {engine} --batch 64")),
            format!("{raw} --engine {engine}"),
        );
        rows.push(Row::at_least(
            &format!(
                "{engine}, 1 handler, batches of 64: published, handled and acked over bare streams"
            ),
            "×",
            0.7,
            cases.ratios(
                ("load", &load, "messages_per_s"),
                ("raw", &raw, "messages_per_s"),
            )?,
        ));
    }
    Ok(rows)
}

fn latency(cases: &Cases<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in ["sqlite", "redis-everysec"] {
        for rate in [1_000, 5_000] {
            let measures = format!("--engine {engine} --rate {rate} --seconds 10");
            let figures = cases.run("paced", &measures)?;
            let (p50, p99) = (figure(&figures, "p50_ms")?, figure(&figures, "p99_ms")?);
            let sync = figure(&figures, "fsync_p99_ms")?;
            let what = format!("{engine}, {rate} messages/s, published to handled");
            rows.push(Row::said(&format!("{what}: p50"), "ms", vec![p50]));
            let what = format!("{what}: p99 (the disk syncs in {sync:.1} ms at p99)");
            rows.push(if engine == "sqlite" && sync < QUICK_SYNC {
                Row::at_most(&what, "ms", 10.0, vec![p99])
            } else {
                Row::said(&what, "ms", vec![p99])
            });
        }
    }
    Ok(rows)
}

fn failures(cases: &Cases<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in ["sqlite", "redis-everysec"] {
        let clean = format!("--engine {engine} --messages {MESSAGES}");
        for (percent, target) in [(10, 0.6), (50, 0.35)] {
            let failing = format!("{clean} --failing {percent}");
            rows.push(Row::at_least(
                &format!("{engine}: {percent} % fail once, over none"),
                "×",
                target,
                cases.ratios(
                    ("load", &failing, "messages_per_s"),
                    ("load", &clean, "messages_per_s"),
                )?,
            ));
        }
    }
    Ok(rows)
}

/// What waits is drained from the log; the rate is held against draining a short log.
fn backlog(cases: &Cases<'_>) -> Result<Vec<Row>> {
    let drain = |messages: u64| {
        let folder = cases.folder.join("backlog");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).context("failed to make a folder")?;
        let measures = format!("--messages {messages}");
        cases.run_on(&folder, "waiting", &measures)?;
        let figures = cases.run_on(&folder, "waiting", &measures);
        drop(fs::remove_dir_all(&folder));
        figures
    };
    let short = drain(MESSAGES / 4)?;
    let long = drain(BACKLOG)?;
    let rate = |figures: &Value| figure(figures, "deliveries_per_s");
    Ok(vec![
        Row::at_least(
            "sqlite strict, 1,000,000 wait: drain rate over that of 50,000",
            "×",
            0.8,
            vec![rate(&long)? / rate(&short)?],
        ),
        Row::at_most(
            "sqlite strict, 1,000,000 wait: start",
            "ms",
            2_000.0,
            vec![figure(&long, "start_ms")?],
        ),
        Row::at_most(
            "sqlite strict, 1,000,000 wait: peak memory",
            "MiB",
            300.0,
            vec![figure(&long, "peak_mib")?],
        ),
    ])
}

/// Draws what a delivery costs as backlog, handlers and types grow.
pub(super) fn plot(workspace: &Workspace, folder: &Path, interrupt: &Interrupt) -> Result<()> {
    let cases = Cases {
        workspace,
        folder,
        interrupt,
    };
    let panels = [
        (
            "waiting for another handler",
            "--messages 20000 --backlog",
            &[1_000, 10_000, 100_000, 1_000_000][..],
        ),
        (
            "handlers",
            "--messages 10000 --handlers",
            &[1, 4, 16, 64][..],
        ),
        (
            "types",
            "--messages 20000 --types",
            &[1, 10, 100, 1_000][..],
        ),
    ];
    let mut drawn = Vec::new();
    for (unit, measures, values) in panels {
        let mut series = Vec::new();
        for engine in ["sqlite", "redis-everysec"] {
            let points: Result<Vec<_>> = values
                .iter()
                .map(|value| {
                    let measures = format!("--engine {engine} {measures} {value}");
                    let figures = cases.run("load", &measures)?;
                    Ok((*value, figure(&figures, "us_per_delivery")?))
                })
                .collect();
            series.push(json!({"name": engine, "points": points?}));
        }
        let title = "microseconds a delivery";
        drawn.push(json!({"title": title, "unit": unit, "series": series}));
    }
    let mut child = Command::new(program(workspace))
        .arg("plot")
        .arg(workspace.root().join(PICTURE))
        .stdin(Stdio::piped())
        .spawn()
        .context("failed to start `coordinator-delivery-bench`")?;
    let mut input = child.stdin.take().context("it takes no input")?;
    input.write_all(json!({ "panels": drawn }).to_string().as_bytes())?;
    drop(input);
    ensure!(child.wait()?.success(), "the plot was not drawn");
    Ok(())
}
