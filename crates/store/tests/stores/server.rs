//! A real `mariadbd` for tests: on a free port of loopback, in a folder of its own, gone with the test process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a hung server, not an expectation.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the rest of its arguments, says their process id, and ends them once nobody holds its standard input any more:
/// also when the test process was killed. Removes the folder then, unless it is told to keep it.
const WATCH: &str = r#"trap '' INT HUP; folder=$1; shift; "$@" <&- >/dev/null 2>&1 & server=$!; echo "$server"; read -r word; kill -9 "$server" 2>/dev/null; wait; [ "$word" = keep ] || rm -rf "$folder""#;

/// A running server. Its data outlives [`Server::kill`].
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    running: Mutex<Option<Running>>,
}

struct Running {
    watch: Child,
    stdin: Option<ChildStdin>,
    pid: u32,
}

impl Server {
    /// Makes the system tables and starts a server on them.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", "--user=root"])
            .arg(format!("--datadir={}", folder.join("data").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("`mariadb-install-db` should be there: apt-get install mariadb-server");
        assert!(made.success(), "mariadb-install-db: {made}");
        let server = Self {
            folder,
            port: free_port(),
            running: Mutex::new(None),
        };
        server.restart();
        server
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        if let Some(running) = self.running().take() {
            running.end(true);
        }
    }

    /// Starts it on the data that it left.
    pub(crate) fn restart(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "it runs already");
        *running = Some(spawn(&self.folder, self.port));
        drop(running);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let waited = started.elapsed();
            assert!(
                waited < PATIENCE,
                "mariadbd did not start on port {}",
                self.port
            );
            // Not for a result: for the processor, while another process starts.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it from answering, without its clients noticing.
    pub(crate) fn freeze(&self) {
        self.send("STOP");
    }

    /// Ends [`Server::freeze`].
    pub(crate) fn thaw(&self) {
        self.send("CONT");
    }

    fn send(&self, signal: &str) {
        let pid = self.running().as_ref().expect("the server should run").pid;
        let kill = format!("kill -{signal} {pid}");
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running().take() {
            running.end(false);
        }
        // Already gone with a server that ran.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    fn end(mut self, keep: bool) {
        if let (Some(stdin), true) = (&mut self.stdin, keep) {
            stdin.write_all(b"keep\n").unwrap();
        }
        drop(self.stdin.take());
        self.watch.wait().unwrap();
    }
}

fn spawn(folder: &Path, port: u16) -> Running {
    let mut watch = Command::new("sh")
        .args(["-c", WATCH, "watch"])
        .arg(folder)
        .args([
            "mariadbd",
            "--no-defaults",
            "--user=root",
            "--bind-address=127.0.0.1",
        ])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg("--innodb-buffer-pool-size=32M")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = watch.stdin.take();
    let mut pid = String::new();
    let said = watch.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut pid).unwrap();
    Running {
        watch,
        stdin,
        pid: pid.trim().parse().expect("the shell says the process id"),
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}
