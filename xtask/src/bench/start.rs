//! What an operator waits for and pays: the start of the host, its memory, and a command.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::RUNS;
use super::table::Row;
use crate::host::{self, Host};
use crate::http::Client;
use crate::interrupt::{Interrupt, Interrupted};
use crate::workspace::{Profile, Workspace};

/// The plugins we ship, with settings that need nothing outside.
const SHIPPED: [(&str, &str); 2] = [
    ("stripe", "webhook_secret = \"file:any.secret\""),
    (
        "lms",
        "base_url = \"http://127.0.0.1:9\"\ntoken = \"file:any.secret\"",
    ),
];

/// Starts, memory and commands, against their targets.
pub(super) fn rows(
    workspace: &Workspace,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Vec<Row>> {
    let program = workspace.built(Profile::Release, "coordinator");
    let [one, shipped, ten] =
        [1, SHIPPED.len(), 10].map(|plugins| start_with(workspace, folder, plugins, interrupt));
    let (one, shipped, ten) = (one?, shipped?, ten?);
    let answered_ms = |starts: &[Start]| starts.iter().map(|start| start.answered_ms).collect();
    let resident_mib = shipped.iter().map(|start| start.resident_mib).collect();
    Ok(vec![
        Row::at_most(
            "start to first answer, 1 plugin",
            "ms",
            150.0,
            answered_ms(&one),
        ),
        Row::at_most(
            "start to first answer, 10 plugins",
            "ms",
            150.0,
            answered_ms(&ten),
        ),
        Row::at_most(
            "memory when idle, shipped plugins",
            "MiB",
            40.0,
            resident_mib,
        ),
        Row::at_most(
            "a command that needs no host",
            "ms",
            50.0,
            command_ms(workspace, &program)?,
        ),
    ])
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

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
