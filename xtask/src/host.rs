//! A host of our own: a folder with its configuration, the plugins locked, the process, its log.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::http::Client;
use crate::process::Process;

/// The longest wait until the host says that it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of the host's log that are shown when it ends unasked.
const LAST_LINES: usize = 20;

/// A running `coordinator serve`. Dropping it ends the process; the folder stays.
pub(crate) struct Host {
    process: Process,
    folder: PathBuf,
}

impl Host {
    /// Locks the plugins and serves, with the `coordinator.toml` that lies in `folder`.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let output = Command::new(program)
            .args(["plugin", "lock"])
            .current_dir(folder)
            .output()
            .context("failed to start `coordinator plugin lock`")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`coordinator plugin lock` failed:\n{}",
            said.trim_end()
        );
        Self::serve(program, folder)
    }

    /// Serves; the plugins are locked already.
    pub(crate) fn serve(program: &Path, folder: &Path) -> Result<Self> {
        let path = folder.join("host.log");
        let log = fs::File::create(&path)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
        let also = log.try_clone().context("failed to share the log file")?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .current_dir(folder)
            .stdout(also)
            .stderr(log);
        let process = Process::start("coordinator serve", &mut command)?;
        Ok(Self {
            process,
            folder: folder.to_owned(),
        })
    }

    /// Returns when `/readyz` says yes; calls `pause` between two looks.
    pub(crate) fn wait_until_ready(
        &mut self,
        client: &Client,
        pause: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_alive()?;
            match client.get("/readyz") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(
                        error.context(format!("the host was not ready within {PATIENCE:?}"))
                    );
                }
                Err(_) => pause()?,
            }
        }
    }

    /// An error with the end of its log if the host has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.process.ended() else {
            return Ok(());
        };
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
        bail!("the host ended with {status}; its last lines:\n  {last}");
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("host.log")
    }

    /// Memory it holds now, in bytes, as the system counts it.
    pub(crate) fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status =
            fs::read_to_string(&path).with_context(|| format!("failed to read `{path}`"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .context("`VmRSS` is missing")?;
        Ok(kib.parse::<u64>().context("`VmRSS` is not a number")? * 1024)
    }
}

/// A free port, found by taking it for a moment.
pub(crate) fn free_address() -> Result<String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener
        .local_addr()
        .context("failed to find a free port")?
        .to_string())
}

/// 32 random bytes in hex, written to a file that only its owner reads.
pub(crate) fn write_secret(path: &Path) -> Result<String> {
    let mut bytes = [0; 32];
    let mut random = fs::File::open("/dev/urandom").context("failed to open /dev/urandom")?;
    random
        .read_exact(&mut bytes)
        .context("failed to read /dev/urandom")?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(secret.as_bytes()))
        .with_context(|| format!("failed to write `{}`", path.display()))?;
    Ok(secret)
}
