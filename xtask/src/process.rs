//! A child process that ends with the command that started it, however that ends.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end by itself after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it in a process group of its own: Ctrl-C at the terminal reaches us alone,
    /// and we then end our processes in order.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start `{name}`"))?;
        Ok(Self { name, child })
    }

    /// The first line it prints; its standard output must be piped.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let output = self
            .child
            .stdout
            .take()
            .expect("the caller piped the output");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .with_context(|| format!("failed to read from `{}`", self.name))?;
        ensure!(
            !line.is_empty(),
            "`{}` ended without saying where it listens",
            self.name
        );
        Ok(line.trim().to_owned())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // Not waited for yet, so the id is still this child's; an error means that it is just ending.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                eprintln!("`{}` did not end in {PATIENCE:?} and is killed", self.name);
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
