//! The host that serves the plugin, and beside it what follows its messages.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use coordinator_message::{MessageId, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::build::Built;
use super::{DevError, say, system};

/// How long a host may take until it listens, before its messages are followed.
const START: Duration = Duration::from_secs(60);
/// How often it is asked.
const ASK: Duration = Duration::from_millis(50);

/// A host for one plugin: its folder, its processes.
pub(super) struct DevHost {
    folder: PathBuf,
    plugin: PathBuf,
    listen: SocketAddr,
    /// Of its API: made for this run, and gone with it.
    key: String,
    served: Vec<u8>,
    host: Option<Child>,
    tail: Option<Child>,
}

/// What came of a build.
pub(super) enum Taken {
    /// The host was started with it.
    Started,
    /// The host was told of it.
    Reloaded,
    /// It is what is served already.
    Unchanged,
}

impl DevHost {
    /// Its folder is below the plugin's `target`: the journal outlives a run there.
    pub(super) fn new(plugin: &Path, listen: SocketAddr) -> Result<Self, DevError> {
        let folder = plugin.join("target/coordinator-dev");
        fs::create_dir_all(&folder).map_err(|source| DevError::Write {
            path: folder.clone(),
            source,
        })?;
        Ok(Self {
            folder,
            plugin: plugin.to_owned(),
            listen,
            key: MessageId::new(Timestamp::now()).to_string(),
            served: Vec::new(),
            host: None,
            tail: None,
        })
    }

    /// Serves what was built.
    pub(super) async fn serve(&mut self, built: &Built) -> Result<Taken, DevError> {
        let bytes = fs::read(&built.file).map_err(system("read what was built"))?;
        let config = self.config(&built.name);
        let looks = [bytes.as_slice(), config.as_bytes()].concat();
        if self.host.is_some() && looks == self.served {
            return Ok(Taken::Unchanged);
        }
        // At once or not at all: the host may read it now.
        self.put("plugin.so", &bytes)?;
        self.put("coordinator.toml", config.as_bytes())?;
        self.served = looks;
        if let Some(pid) = self.host.as_ref().and_then(pid) {
            kill_process(pid, Signal::HUP)
                .map_err(|error| system("tell the host")(error.into()))?;
            return Ok(Taken::Reloaded);
        }
        // Whoever has the address would be taken for our host.
        if let Err(source) = TcpListener::bind(self.listen) {
            let listen = self.listen;
            return Err(DevError::Taken { listen, source });
        }
        self.host = Some(self.start()?);
        self.follow().await?;
        Ok(Taken::Started)
    }

    /// The plugin's table first, so that those of `dev.toml` may stand below it.
    fn config(&self, name: &str) -> String {
        let file = self.folder.join("plugin.so");
        let path = serde_json::Value::from(file.to_string_lossy());
        let own = fs::read_to_string(self.plugin.join("dev.toml")).unwrap_or_default();
        format!(
            "# Written by `coordinator dev`: your own lines stand in `dev.toml`.\n\
             [plugins.\"{name}\"]\npath = {path}\n\
             [api.keys.dev]\nsecret = \"env:COORDINATOR_DEV_KEY\"\n\n{own}"
        )
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), DevError> {
        let (path, new) = (self.folder.join(name), self.folder.join("new"));
        fs::write(&new, bytes)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| DevError::Write { path, source })
    }

    fn start(&self) -> Result<Child, DevError> {
        let config = self.folder.join("coordinator.toml");
        self.coordinator(&["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
            .env("COORDINATOR__SERVER__LISTEN", self.listen.to_string())
            .env("COORDINATOR__SERVER__DATA_DIR", self.folder.join("data"))
            .env("COORDINATOR__TRUST__POLICY", "any")
            .env("COORDINATOR_DEV_KEY", &self.key)
            .spawn()
            .map_err(system("start the host"))
    }

    /// This program again, in a process group of its own: Ctrl-C is ours to hear, and to hand on. If we are killed, the
    /// kernel ends it.
    fn coordinator(&self, arguments: &[&std::ffi::OsStr]) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "coordinator".into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["--ends-with", &std::process::id().to_string()])
            .current_dir(&self.plugin)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Prints messages as they are accepted, as soon as the host listens.
    async fn follow(&mut self) -> Result<(), DevError> {
        let listens = async {
            while TcpStream::connect(self.listen).await.is_err() {
                tokio::time::sleep(ASK).await;
            }
        };
        let Some(host) = &mut self.host else {
            return Ok(());
        };
        tokio::select! {
            // It did not start, and has said why.
            _ = host.wait() => return Ok(()),
            waited = tokio::time::timeout(START, listens) => {
                if waited.is_err() {
                    return say("the host does not listen yet: its messages are not followed");
                }
            }
        }
        let url = format!("http://{}", self.listen);
        let arguments = ["messages", "tail", "--url", &url].map(AsRef::as_ref);
        let tail = self
            .coordinator(&arguments)
            .env("COORDINATOR_KEY", &self.key)
            .spawn()
            .map_err(system("follow the messages"))?;
        self.tail = Some(tail);
        Ok(())
    }

    /// Notices a host that ended by itself: the next change starts another.
    pub(super) fn look(&mut self) -> Result<(), DevError> {
        let Some(host) = &mut self.host else {
            return Ok(());
        };
        match host.try_wait().map_err(system("look after the host"))? {
            None => Ok(()),
            Some(ended) => {
                self.host = None;
                self.tail = None;
                say(&format!(
                    "the host ended ({ended}); if a setting is missing, write it into `dev.toml`; save a change to \
                     start it again"
                ))
            }
        }
    }

    /// Lets the host finish what runs.
    pub(super) async fn stop(mut self) -> Result<(), DevError> {
        self.tail = None;
        let Some(mut host) = self.host.take() else {
            return Ok(());
        };
        if let Some(pid) = pid(&host) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        host.wait().await.map_err(system("wait for the host"))?;
        Ok(())
    }
}

fn pid(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|id| i32::try_from(id).ok())?;
    Pid::from_raw(id)
}
