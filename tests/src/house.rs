//! A running house: the host, what it wrote, and the world around it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use coordinator_sandbox::Sandbox;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::patience::PATIENCE;
use crate::process::{Ended, Host, coordinator};
use crate::{API_KEY, Ask, Builder, Log};

/// A host process with a folder, a log and a sandbox of its own.
///
/// Dropping it ends the process. A test that has not failed fails there, if a delivery is unsettled or the number of
/// dead letters is not the one it announced.
#[derive(Debug)]
pub struct TestHouse {
    host: Option<Host>,
    door: Door,
    log: Log,
    /// Closed when the log of the last process was read to its end.
    logged: Option<Receiver<String>>,
    sandbox: Sandbox,
    folder: TempDir,
    pub(crate) dead_letters: usize,
}

/// Where the host is to be found, also after it was started again. Clones are for other threads.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<(Mutex<Option<String>>, Condvar)>);

impl Door {
    /// The base URL, without a trailing slash; waits while no host runs.
    ///
    /// # Panics
    ///
    /// If none is started.
    #[must_use]
    pub fn url(&self) -> String {
        let (url, opened) = &*self.0;
        let url = url.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = opened.wait_timeout_while(url, PATIENCE, |url| url.is_none());
        let (url, _) = waited.unwrap_or_else(PoisonError::into_inner);
        url.clone().expect("the test starts the host again")
    }

    fn set(&self, now: Option<String>) {
        let (url, opened) = &*self.0;
        *url.lock().unwrap_or_else(PoisonError::into_inner) = now;
        opened.notify_all();
    }
}

impl TestHouse {
    /// A house to be furnished.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(built: Builder) -> Self {
        Self {
            host: None,
            door: Door::default(),
            log: Log::default(),
            logged: None,
            sandbox: built.sandbox,
            folder: built.folder,
            dead_letters: 0,
        }
    }

    /// Starts the host, and returns when it listens.
    ///
    /// # Panics
    ///
    /// If it ends before.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = coordinator(self.folder.path());
        command
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut host = Host(command.spawn().expect("the binary runs"));
        let said = host.0.stderr.take().expect("it is piped");
        let logged = self.log.follow(said);
        let url = logged.recv();
        self.logged = Some(logged);
        let url = url.unwrap_or_else(|_| panic!("the host did not start:\n{}", self.log.tail()));
        self.door.set(Some(url));
        self.host = Some(host);
    }

    /// Ends the host with SIGKILL, at whatever it is doing.
    pub fn kill(&mut self) {
        self.door.set(None);
        self.running().kill();
        self.read_log();
    }

    /// Ends the host with SIGTERM, waits for it, and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.door.set(None);
        let host = self.running();
        host.signal_end();
        let code = host.ended().code();
        self.read_log();
        code
    }

    /// Waits until the host has died by itself.
    ///
    /// # Panics
    ///
    /// If it ended in an orderly way.
    #[track_caller]
    pub fn dies(&mut self) {
        self.door.set(None);
        let status = self.running().ended();
        assert_eq!(status.code(), None, "it was to die of a signal");
        self.read_log();
    }

    /// Returns when all that the last process said is in the log.
    fn read_log(&mut self) {
        let logged = self.logged.take();
        while logged.as_ref().is_some_and(|logged| logged.recv().is_ok()) {}
    }

    /// Stops the host where it is: it answers nobody, and does not know.
    pub fn freeze(&self) {
        self.host().send(Signal::STOP);
    }

    /// Ends [`TestHouse::freeze`].
    pub fn thaw(&self) {
        self.host().send(Signal::CONT);
    }

    /// Tells the host to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        self.host().send(Signal::HUP);
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn host(&self) -> &Host {
        self.host.as_ref().expect("the test has a host running")
    }

    /// Lets the host write no file beyond this many bytes, or as it likes again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let host = self.host.as_ref().expect("the test has a host running");
        host.limit_files(bytes);
    }

    fn running(&mut self) -> Host {
        self.host.take().expect("the test has a host running")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.host.is_some()
    }

    /// Where the host is.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// The base URL of the running host.
    #[must_use]
    pub fn url(&self) -> String {
        assert!(self.is_running(), "the test has a host running");
        self.door.url()
    }

    /// The number of the host's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let host = self.host.as_ref().expect("the test has a host running");
        host.0.id()
    }

    /// What the host has said.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The world around it.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// A request to the host, without a key.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, &format!("{}{path}", self.url()))
    }

    /// Runs `coordinator` with these arguments in the house's folder, to its end. It finds the host and the key.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments))
    }

    /// The same, for a command that does not end by itself.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = coordinator(self.folder.path());
        command.args(arguments).env("COORDINATOR_KEY", API_KEY);
        if self.is_running() {
            command.env("COORDINATOR_URL", self.url());
        }
        command
    }

    /// Changes the configuration, for the next start.
    ///
    /// # Panics
    ///
    /// If it does not say `old`.
    pub fn reconfigure(&self, old: &str, new: &str) {
        let path = self.folder.path().join("coordinator.toml");
        let text = std::fs::read_to_string(&path).expect("the builder wrote it");
        assert!(text.contains(old), "{text}");
        std::fs::write(path, text.replace(old, new)).expect("the folder is writable");
    }

    /// The test ends with this many dead letters.
    pub fn expect_dead_letters(&mut self, number: usize) {
        self.dead_letters = number;
    }
}

impl Drop for TestHouse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the host's last lines:\n{}", self.log.tail());
        } else if self.is_running() {
            self.check_settled();
        }
    }
}
