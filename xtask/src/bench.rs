//! `cargo xtask bench`: what an operator waits for and pays, measured from outside, and what the plugin boundary
//! costs, measured by `coordinator-bench`; in release builds, in one run, kept in `BENCHMARKS.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::host::{self, Host};
use crate::http::Client;
use crate::interrupt::{Interrupt, Interrupted};
use crate::steps::Steps;
use crate::workspace::{Profile, Workspace};

/// Runs of each measurement; the median counts.
const RUNS: usize = 11;

/// The plugins we ship, with settings that need nothing outside.
const SHIPPED: [(&str, &str); 2] = [
    ("stripe", "webhook_secret = \"file:any.secret\""),
    (
        "lms",
        "base_url = \"http://127.0.0.1:9\"\ntoken = \"file:any.secret\"",
    ),
];

/// One line of the table.
struct Row {
    what: &'static str,
    median: f64,
    worst: f64,
    target: f64,
    unit: &'static str,
}

pub(crate) fn bench(workspace: &Workspace, interrupt: &Interrupt) -> Result<()> {
    Steps::new(workspace).cargo(&["build", "--workspace", "--release"], &[])?;
    let folder = workspace.fresh_folder("bench")?;
    let program = workspace.built(Profile::Release, "coordinator");
    println!("==> measuring, {RUNS} runs each");
    let [one, shipped, ten] =
        [1, SHIPPED.len(), 10].map(|plugins| start_with(workspace, &folder, plugins, interrupt));
    let (one, shipped, ten) = (one?, shipped?, ten?);
    let answered_ms = |starts: &[Start]| starts.iter().map(|start| start.answered_ms).collect();
    let resident_mib = shipped.iter().map(|start| start.resident_mib).collect();
    let rows = [
        row(
            "start to first answer, 1 plugin",
            "ms",
            150.0,
            answered_ms(&one),
        ),
        row(
            "start to first answer, 10 plugins",
            "ms",
            150.0,
            answered_ms(&ten),
        ),
        row(
            "memory when idle, shipped plugins",
            "MiB",
            40.0,
            resident_mib,
        ),
        row(
            "a command that needs no host",
            "ms",
            50.0,
            command_ms(workspace, &program)?,
        ),
    ];
    println!("==> measuring the boundary");
    let ratios = boundary(workspace)?;
    let text = table(&rows, &ratios);
    print!("{text}");
    keep(workspace, &text)?;
    // It lies under the target folder: `cargo clean` takes what is left.
    drop(fs::remove_dir_all(folder));
    let missed = rows.iter().filter(|row| row.median > row.target).count()
        + ratios.iter().filter(|ratio| ratio.is_missed()).count();
    ensure!(
        missed == 0,
        "{missed} of {} targets were missed",
        rows.len() + ratios.len()
    );
    Ok(())
}

/// One ratio, as `coordinator-bench` prints it.
#[derive(serde::Deserialize)]
struct Ratio {
    what: String,
    median: f64,
    worst: f64,
    target: f64,
    at_least: bool,
    pairs: usize,
}

impl Ratio {
    fn is_missed(&self) -> bool {
        if self.at_least {
            self.median < self.target
        } else {
            self.median > self.target
        }
    }
}

fn boundary(workspace: &Workspace) -> Result<Vec<Ratio>> {
    let output = Command::new(workspace.built(Profile::Release, "coordinator-bench"))
        .arg(workspace.built_plugin(Profile::Release, "echo"))
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start `coordinator-bench`")?;
    ensure!(output.status.success(), "`coordinator-bench` failed");
    let text = String::from_utf8(output.stdout).context("its output is not text")?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of it is not JSON"))
        .collect()
}

/// Writes the table where readers look for it.
fn keep(workspace: &Workspace, table: &str) -> Result<()> {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.context("failed to ask for the date")?.stdout;
    let date = String::from_utf8_lossy(&date);
    let text = format!(
        "# Benchmarks\n\nMeasured on {} by `cargo xtask bench`, in one run; trust ratios, not single times.\n{table}",
        date.trim()
    );
    let path = workspace.root().join("BENCHMARKS.md");
    fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))
}

/// One start of the host.
struct Start {
    answered_ms: f64,
    resident_mib: f64,
}

/// Starts the host with so many plugins, again and again.
fn start_with(
    workspace: &Workspace,
    folder: &Path,
    plugins: usize,
    interrupt: &Interrupt,
) -> Result<Vec<Start>> {
    let folder = folder.join(format!("plugins-{plugins}"));
    fs::create_dir(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    host::write_secret(&folder.join("any.secret"))?;
    let listen = host::free_address()?;
    let path = folder.join("coordinator.toml");
    fs::write(&path, configuration(workspace, &listen, plugins))
        .with_context(|| format!("failed to write `{}`", path.display()))?;
    let program = workspace.built(Profile::Release, "coordinator");
    let client = Client::new(format!("http://{listen}"));
    // The first start makes the journal and the lock; it is not counted.
    Host::start(&program, &folder)?.wait_until_ready(&client, || interrupt.pause())?;
    (0..RUNS)
        .map(|_| start_once(&program, &folder, &client, interrupt))
        .collect()
}

fn start_once(
    program: &Path,
    folder: &Path,
    client: &Client,
    interrupt: &Interrupt,
) -> Result<Start> {
    if interrupt.has_come() {
        return Err(Interrupted.into());
    }
    let started = Instant::now();
    let mut host = Host::serve(program, folder)?;
    host.wait_until_ready(client, || {
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    })?;
    let answered_ms = millis(started.elapsed());
    let resident = host.resident()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory in MiB needs three digits"
    )]
    let resident_mib = resident as f64 / f64::from(1 << 20);
    Ok(Start {
        answered_ms,
        resident_mib,
    })
}

fn configuration(workspace: &Workspace, listen: &str, plugins: usize) -> String {
    let mut text = format!("[server]\nlisten = \"{listen}\"\ndata_dir = \"data\"\n");
    for (n, (plugin, settings)) in (1..=plugins).zip(SHIPPED.iter().cycle()) {
        let file = workspace.built_plugin(Profile::Release, plugin);
        write!(
            text,
            "\n[plugins.{plugin}-{n}]\npath = {file:?}\nrequired = true\n\
             [plugins.{plugin}-{n}.settings]\n{settings}\n"
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn command_ms(workspace: &Workspace, program: &Path) -> Result<Vec<f64>> {
    let file = workspace.built_plugin(Profile::Release, "lms");
    let runs = (0..RUNS).map(|_| {
        let started = Instant::now();
        let status = Command::new(program)
            .args(["plugin", "inspect"])
            .arg(&file)
            .stdout(Stdio::null())
            .status()
            .context("failed to start `coordinator plugin inspect`")?;
        ensure!(status.success(), "`coordinator plugin inspect` failed");
        Ok(millis(started.elapsed()))
    });
    runs.collect()
}

fn row(what: &'static str, unit: &'static str, target: f64, mut measured: Vec<f64>) -> Row {
    measured.sort_unstable_by(f64::total_cmp);
    let median = measured[measured.len() / 2];
    let worst = measured[measured.len() - 1];
    Row {
        what,
        median,
        worst,
        target,
        unit,
    }
}

/// The table as `BENCHMARKS.md` keeps it.
fn table(rows: &[Row], ratios: &[Ratio]) -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "\n{processors} processors\n\n| what | median | worst of {RUNS} | target |\n|---|--:|--:|--:|\n"
    );
    for Row {
        what,
        median,
        worst,
        target,
        unit,
    } in rows
    {
        writeln!(
            text,
            "| {what} | {median:.1} {unit} | {worst:.1} {unit} | ≤ {target:.0} {unit} |"
        )
        .expect("writing to a string cannot fail");
    }
    text.push_str(
        "\n| what, plugin over native | median | worst | pairs | target |\n|---|--:|--:|--:|--:|\n",
    );
    for ratio in ratios {
        let sign = if ratio.at_least { '≥' } else { '≤' };
        let Ratio {
            what,
            median,
            worst,
            target,
            pairs,
            ..
        } = ratio;
        writeln!(
            text,
            "| {what} | {median:.2}× | {worst:.2}× | {pairs} | {sign} {target:.2}× |"
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
