//! The processes that a test starts: the host, and commands of the same binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::patience::eventually;
use crate::{API_KEY, LMS_TOKEN, STRIPE_SECRET};

/// A file beside the running test's folder, where cargo puts what it builds.
///
/// # Panics
///
/// If it is not there.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the running program");
    let folder = test.parent().and_then(Path::parent);
    let path = folder.expect("tests are built two folders deep").join(name);
    assert!(
        path.is_file(),
        "`{name}` is not built: run `cargo xtask test`, which builds what the tests start"
    );
    path
}

/// `coordinator`, in `folder`, with the house's secrets and none of this process's own `COORDINATOR…` variables.
pub(crate) fn coordinator(folder: &Path) -> Command {
    let mut command = Command::new("sh");
    // A file that may not grow is an error to be answered, not the end: what is ignored here stays ignored there.
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(built("coordinator"))
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TESTS_KEY", API_KEY)
        .env("STRIPE_SECRET", STRIPE_SECRET)
        .env("LMS_TOKEN", LMS_TOKEN)
        .stdin(Stdio::null());
    command
}

/// Ctrl-C, for a command of a test's own.
///
/// # Panics
///
/// If it has ended.
pub fn interrupt(command: &Child) {
    kill_process(Pid::from_child(command), Signal::INT).expect("it runs, and is ours");
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Ended {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().expect("the binary runs");
        Self {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its code was this one.
    ///
    /// # Panics
    ///
    /// If not; whatever it printed is shown.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

/// A running host; ended with the value.
#[derive(Debug)]
pub(crate) struct Host(pub(crate) Child);

impl Host {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Ends it as a power cut would, at whatever it is doing.
    pub(crate) fn kill(mut self) {
        // It may have ended by itself, which the test has noticed then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to end.
    pub(crate) fn signal_end(&self) {
        self.send(Signal::TERM);
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs, and is ours");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> ExitStatus {
        eventually("the host ends", || self.0.try_wait().expect("it is ours"))
    }

    /// The largest file that it may write, in bytes; `None` for what this process may.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let own = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: bytes.or(own.current),
            maximum: own.maximum,
        };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("it runs, and is ours");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
