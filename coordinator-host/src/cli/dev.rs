//! `coordinator dev PATH`: builds a plugin, runs a host with it, and takes up each change as it is saved.
//!
//! The host is an ordinary one, in a process of its own: a change is a new generation beside the old one, as in
//! production, and one that does not build or does not start leaves the old one serving.

mod build;
mod host;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Failure, OK, PROBLEMS, UNAVAILABLE, USAGE};
use super::output::{self, PrintError};
use build::{BuildError, Built};
use host::DevHost;
use watch::Seen;

/// How often it looks for changes.
const LOOK: Duration = Duration::from_millis(300);

/// Builds a plugin, runs a host with it, and takes up each change as it is saved.
///
/// Further configuration, such as `[plugins.NAME.settings]`, is read from `dev.toml` beside the plugin's `Cargo.toml`.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The folder of the plugin.
    path: PathBuf,
    /// Where the host listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8140")]
    listen: SocketAddr,
    /// Builds with optimisations.
    #[arg(long)]
    release: bool,
}

/// It could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DevError {
    /// Not a plugin's folder.
    #[error(
        "`{0}` is not the folder of a plugin: it has no `Cargo.toml`\n  (begin one with `coordinator plugin new NAME`)"
    )]
    NoManifest(PathBuf),
    /// A file that it needs.
    #[error("failed to write `{path}`")]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error(
        "failed to listen on {listen}\n  (end what listens there, or give another address with --listen)"
    )]
    Taken {
        /// Where.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Threads, signals or processes.
    #[error("failed to {doing}")]
    System {
        /// What was to be done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its own words cannot be printed.
    #[error(transparent)]
    Print(#[from] PrintError),
}

impl From<DevError> for Failure {
    fn from(error: DevError) -> Self {
        let code = match error {
            DevError::NoManifest(_) => USAGE,
            DevError::Write { .. } | DevError::Print(_) => PROBLEMS,
            DevError::System { .. } | DevError::Taken { .. } => UNAVAILABLE,
        };
        Self::new(code, error)
    }
}

pub(super) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> DevError {
    move |source| DevError::System { doing, source }
}

impl Dev {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let path = self
            .path
            .canonicalize()
            .ok()
            .filter(|path| path.join("Cargo.toml").is_file())
            .ok_or_else(|| DevError::NoManifest(self.path.clone()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("start"))?;
        runtime.block_on(self.follow(&path))?;
        Ok(OK)
    }

    /// Until Ctrl-C.
    async fn follow(&self, path: &Path) -> Result<(), DevError> {
        let no_signals = || system("wait for Ctrl-C");
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals())?;
        let mut host = DevHost::new(path, self.listen)?;
        let work = async {
            let mut seen = Seen::default();
            loop {
                let now = Seen::of(path);
                if now != seen {
                    seen = now;
                    self.take_up(path, &mut host).await?;
                }
                host.look()?;
                tokio::time::sleep(LOOK).await;
            }
        };
        let ended: Result<(), DevError> = tokio::select! {
            ended = work => ended,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        host.stop().await?;
        ended
    }

    /// Builds what was saved, and has the host serve it. What does not build is told, and changes nothing.
    async fn take_up(&self, path: &Path, host: &mut DevHost) -> Result<(), DevError> {
        say("building")?;
        match build::build(path, self.release).await {
            Ok(built) => self.serve(&built, host).await,
            Err(BuildError::Cargo(source)) => Err(system("run `cargo`")(source)),
            Err(error) => say(&format!("{error}; save a change to try again")),
        }
    }

    async fn serve(&self, built: &Built, host: &mut DevHost) -> Result<(), DevError> {
        match host.serve(built).await? {
            host::Taken::Started => say(&format!(
                "serving `{0}` at http://{1}; its settings stand in `dev.toml`, below `[plugins.{0}.settings]`; \
                 save a file to take it up, Ctrl-C ends",
                built.name, self.listen
            )),
            host::Taken::Reloaded => {
                say(&format!("`{}` changed: the host takes it up", built.name))
            }
            host::Taken::Unchanged => say("nothing changed"),
        }
    }
}

/// On standard error, where the host's log is too: standard output has messages alone.
pub(super) fn say(text: &str) -> Result<(), DevError> {
    Ok(output::note(&format!("dev: {text}"))?)
}
