//! The demo's house: a fresh folder, its configuration, and the two processes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::http::Client;
use super::payments::REFUSED_ORDER;
use super::process::Process;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;

/// The longest wait until the host says that it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of the host's log that are shown when it ends unasked.
const LAST_LINES: usize = 20;

/// Everything that runs. Dropping it ends the processes, the host first.
pub(crate) struct House {
    folder: PathBuf,
    webhook_secret: String,
    api: Client,
    sandbox: Client,
    host: Process,
    _sandbox: Process,
}

impl House {
    /// Starts everything; returns when the host is ready.
    pub(crate) fn open(workspace: &Workspace, interrupt: &Interrupt) -> Result<Self> {
        let folder = workspace
            .target()
            .join(format!("demo-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        println!("==> starting host and sandbox in {}", folder.display());
        let [webhook_secret, lms_token, api_key] = [secret()?, secret()?, secret()?];
        for (name, value) in [
            ("stripe.secret", &webhook_secret),
            ("lms.token", &lms_token),
            ("api.key", &api_key),
        ] {
            write_private(&folder.join(name), value)?;
        }
        let mut process = Process::start(
            "coordinator-sandbox",
            Command::new(workspace.built("coordinator-sandbox"))
                .env("SANDBOX_LMS_TOKEN", &lms_token)
                .stdout(Stdio::piped()),
        )?;
        let sandbox = Client::new(process.first_line()?);
        let listen = free_address()?;
        write_configuration(workspace, &folder, &listen, sandbox.base())?;
        lock_plugins(workspace, &folder)?;
        let host = start_host(workspace, &folder)?;
        let api = Client::with_key(format!("http://{listen}"), api_key);
        let mut house = Self {
            folder,
            webhook_secret,
            api,
            sandbox,
            host,
            _sandbox: process,
        };
        house.wait_until_ready(interrupt)?;
        house.prepare_refusal()?;
        Ok(house)
    }

    pub(crate) const fn api(&self) -> &Client {
        &self.api
    }

    pub(crate) const fn sandbox(&self) -> &Client {
        &self.sandbox
    }

    /// Where Stripe posts to.
    pub(crate) fn webhook_url(&self) -> String {
        format!("{}/stripe/webhook", self.api.base())
    }

    /// What Stripe signs with.
    pub(crate) fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("host.log")
    }

    /// An error with the end of its log if the host has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.host.ended() else {
            return Ok(());
        };
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
        bail!("the host ended with {status}; its last lines:\n  {last}");
    }

    /// What to try while it serves.
    pub(crate) fn print_directions(&self) {
        let (host, folder) = (self.api.base(), self.folder.display());
        println!("\nServing until Ctrl-C:");
        println!("  host     {host}/readyz?verbose  {host}/metrics");
        println!(
            "  API      curl -H \"Authorization: Bearer $(cat {folder}/api.key)\" {host}/api/v1/messages"
        );
        println!("  sandbox  {}/_control/ledger", self.sandbox.base());
        println!("  log      {}", self.log().display());
    }

    /// Ends the processes in order and removes the folder.
    pub(crate) fn close(self) {
        let folder = self.folder.clone();
        drop(self);
        // What is left behind lies under the target folder: `cargo clean` takes it.
        drop(fs::remove_dir_all(folder));
    }

    fn wait_until_ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_alive()?;
            match self.api.get("/readyz") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(
                        error.context(format!("the host was not ready within {PATIENCE:?}"))
                    );
                }
                Err(_) => interrupt.pause()?,
            }
        }
    }

    /// The LMS refuses the first enrolment of one order: the reason why there is a broker between.
    fn prepare_refusal(&self) -> Result<()> {
        let rule = json!({
            "match": { "order": REFUSED_ORDER },
            "answer": { "status": 503, "retry_after": 1, "times": 1 },
        });
        self.sandbox
            .put("/_control/behaviour", &json!({ "rules": [rule] }))?;
        Ok(())
    }
}

fn write_configuration(
    workspace: &Workspace,
    folder: &Path,
    listen: &str,
    lms: &str,
) -> Result<()> {
    let plugin = |name: &str| {
        workspace
            .built(&format!("lib{name}.so"))
            .display()
            .to_string()
    };
    let configuration = format!(
        r#"# Written by `cargo xtask demo`.
[server]
listen = "{listen}"
data_dir = "data"

[trust]
policy = "locked"

[log]
format = "json"

[api.keys.demo]
secret = "file:api.key"

[plugins.stripe]
path = {stripe:?}
required = true

[plugins.stripe.settings]
webhook_secret = "file:stripe.secret"

[plugins.lms]
path = {lms_file:?}
required = true

[plugins.lms.settings]
base_url = "{lms}"
token = "file:lms.token"

[wiring.handlers."lms.enrol"]
backoff = "1s..10s"
"#,
        stripe = plugin("coordinator_stripe"),
        lms_file = plugin("coordinator_lms"),
    );
    let path = folder.join("coordinator.toml");
    fs::write(&path, configuration).with_context(|| format!("failed to write `{}`", path.display()))
}

/// `coordinator plugin lock`: from here on only these very files are loaded.
fn lock_plugins(workspace: &Workspace, folder: &Path) -> Result<()> {
    let output = Command::new(workspace.built("coordinator"))
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
    Ok(())
}

fn start_host(workspace: &Workspace, folder: &Path) -> Result<Process> {
    let path = folder.join("host.log");
    let log =
        fs::File::create(&path).with_context(|| format!("failed to write `{}`", path.display()))?;
    let also = log.try_clone().context("failed to share the log file")?;
    let mut command = Command::new(workspace.built("coordinator"));
    Process::start(
        "coordinator serve",
        command
            .arg("serve")
            .current_dir(folder)
            .stdout(also)
            .stderr(log),
    )
}

/// A free port, found by taking it for a moment.
fn free_address() -> Result<String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener
        .local_addr()
        .context("failed to find a free port")?
        .to_string())
}

/// 32 random bytes, in hex.
fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    let mut random = fs::File::open("/dev/urandom").context("failed to open /dev/urandom")?;
    random
        .read_exact(&mut bytes)
        .context("failed to read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file that only its owner reads.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write `{}`", path.display()))
}
