//! The demo's house: a fresh folder, its configuration, and the two processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::payments::REFUSED_ORDER;
use crate::host::{self, Host};
use crate::http::Client;
use crate::interrupt::Interrupt;
use crate::process::Process;
use crate::workspace::{Profile, Workspace};

/// Everything that runs. Dropping it ends the processes, the host first.
pub(crate) struct House {
    folder: PathBuf,
    webhook_secret: String,
    api: Client,
    lms: Client,
    host: Host,
    _sandbox: Process,
}

impl House {
    /// Starts everything; returns when the host is ready.
    pub(crate) fn open(workspace: &Workspace, interrupt: &Interrupt) -> Result<Self> {
        let folder = workspace.fresh_folder("demo")?;
        println!("==> starting host and sandbox in {}", folder.display());
        let webhook_secret = host::write_secret(&folder.join("stripe.secret"))?;
        let lms_token = host::write_secret(&folder.join("lms.token"))?;
        let api_key = host::write_secret(&folder.join("api.key"))?;
        let mut sandbox = Process::start(
            "coordinator-sandbox",
            Command::new(workspace.built(Profile::Dev, "coordinator-sandbox"))
                .env("SANDBOX_LMS_TOKEN", &lms_token)
                .stdout(Stdio::piped()),
        )?;
        let lms = Client::new(sandbox.first_line()?);
        let listen = host::free_address()?;
        write_configuration(workspace, &folder, &listen, lms.base())?;
        let mut host = Host::start(&workspace.built(Profile::Dev, "coordinator"), &folder)?;
        let api = Client::with_key(format!("http://{listen}"), api_key);
        host.wait_until_ready(&api, || interrupt.pause())?;
        let house = Self {
            folder,
            webhook_secret,
            api,
            lms,
            host,
            _sandbox: sandbox,
        };
        house.prepare_refusal()?;
        Ok(house)
    }

    pub(crate) const fn api(&self) -> &Client {
        &self.api
    }

    pub(crate) const fn sandbox(&self) -> &Client {
        &self.lms
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
        self.host.log()
    }

    /// An error with the end of its log if the host has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.host.check_alive()
    }

    /// What to try while it serves.
    pub(crate) fn print_directions(&self) {
        let (host, folder) = (self.api.base(), self.folder.display());
        println!("\nServing until Ctrl-C:");
        println!("  host     {host}/readyz?verbose  {host}/metrics");
        println!(
            "  API      curl -H \"Authorization: Bearer $(cat {folder}/api.key)\" {host}/api/v1/messages"
        );
        println!("  sandbox  {}/_control/ledger", self.lms.base());
        println!("  log      {}", self.log().display());
    }

    /// Ends the processes in order and removes the folder.
    pub(crate) fn close(self) {
        let folder = self.folder.clone();
        drop(self);
        // What is left behind lies under the target folder: `cargo clean` takes it.
        drop(fs::remove_dir_all(folder));
    }

    /// The LMS refuses the first enrolment of one order: the reason why there is a broker between.
    fn prepare_refusal(&self) -> Result<()> {
        let rule = json!({
            "match": { "order": REFUSED_ORDER },
            "answer": { "status": 503, "retry_after": 1, "times": 1 },
        });
        self.lms
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
        stripe = workspace.built_plugin(Profile::Dev, "stripe"),
        lms_file = workspace.built_plugin(Profile::Dev, "lms"),
    );
    let path = folder.join("coordinator.toml");
    fs::write(&path, configuration).with_context(|| format!("failed to write `{}`", path.display()))
}
