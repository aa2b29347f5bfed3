//! A real `redis-server` for tests: on a free port of loopback, in a folder of its own, gone with the test.
//!
//! In: what the server is to promise. Out: its address, and a hand to stop, freeze, kill and restart it.
//! Not here: a client. Other test crates include this file by its path; it needs `std` and `tempfile` only.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// For a hung server, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs its arguments, says their process id, and ends them once nobody holds its standard input any more: also when
/// the test process was killed.
const WATCH: &str = r#"trap '' INT HUP; "$@" <&- >/dev/null 2>&1 & server=$!; echo "$server"; read -r _; kill -9 "$server" 2>/dev/null; wait"#;

/// What a server is started with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `appendonly yes` and this `appendfsync`; `None` keeps nothing.
    pub(crate) appendfsync: Option<&'static str>,
    /// `maxmemory-policy`.
    pub(crate) policy: &'static str,
    /// May it rewrite its file when that has grown? It does so in the background, when it likes.
    pub(crate) rewrite: bool,
    /// In cluster mode, with every slot on this one node: commands over more than one slot are refused.
    pub(crate) cluster: bool,
}

impl Default for Settings {
    /// What a production server should have.
    fn default() -> Self {
        Self {
            appendfsync: Some("always"),
            policy: "noeviction",
            rewrite: true,
            cluster: false,
        }
    }
}

/// A running server. Its data outlives [`Server::kill`] and [`Server::restart`], and goes with it.
pub(crate) struct Server {
    // Before the folder: what is in it is written to until the process has ended.
    running: Mutex<Option<Running>>,
    folder: TempDir,
    port: u16,
    settings: Settings,
}

struct Running {
    watch: Child,
    stdin: Option<ChildStdin>,
    pid: u32,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(crate) fn start(settings: Settings) -> Self {
        let server = Self {
            folder: TempDir::new().unwrap(),
            port: free_port(),
            settings,
            running: Mutex::new(None),
        };
        server.restart();
        server
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same, as a user that [`Server::command`] made.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        drop(self.running().take());
    }

    /// Starts it on the data that it left; ends it first if it runs.
    pub(crate) fn restart(&self) {
        let mut running = self.running();
        drop(running.take());
        *running = Some(spawn(self.folder.path(), self.port, &self.settings));
        drop(running);
        let started = Instant::now();
        while !self.is_ready() {
            assert!(
                started.elapsed() < PATIENCE,
                "redis-server did not start on port {}",
                self.port
            );
            // Not for a result: for the processor, while another process starts.
            std::thread::sleep(Duration::from_millis(5));
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

    /// Runs one command as the default user and answers the reply, as text.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let reply = ask(self.port, words).expect("the server should answer");
        assert!(!reply.starts_with('-'), "{words:?}: {reply}");
        reply
    }

    fn send(&self, signal: &str) {
        let running = self.running();
        let pid = running.as_ref().expect("the server should run").pid;
        let kill = format!("kill -{signal} {pid}");
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// It has loaded its data, and in cluster mode it knows that it has every slot.
    fn is_ready(&self) -> bool {
        if !ask(self.port, &["PING"]).is_ok_and(|reply| reply.starts_with("+PONG")) {
            return false;
        }
        if !self.settings.cluster {
            return true;
        }
        // Refused when the slots are its own already, after a restart.
        let _ = ask(self.port, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        ask(self.port, &["CLUSTER", "INFO"]).is_ok_and(|reply| reply.contains("cluster_state:ok"))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.watch.wait();
    }
}

fn spawn(folder: &Path, port: u16, settings: &Settings) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", WATCH, "watch", "redis-server", "--bind", "127.0.0.1"]);
    command.arg("--port").arg(port.to_string());
    command.arg("--dir").arg(folder);
    command.args(["--save", "", "--daemonize", "no", "--protected-mode", "no"]);
    command.args(["--maxmemory-policy", settings.policy]);
    if let Some(appendfsync) = settings.appendfsync {
        command.args(["--appendonly", "yes", "--appendfsync", appendfsync]);
    }
    if !settings.rewrite {
        command.args(["--auto-aof-rewrite-percentage", "0"]);
    }
    if settings.cluster {
        command.args(["--cluster-enabled", "yes"]);
        command.arg("--cluster-port").arg(free_port().to_string());
    }
    let mut watch = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = watch.stdin.take();
    let mut pid = String::new();
    BufReader::new(watch.stdout.take().unwrap())
        .read_line(&mut pid)
        .unwrap();
    Running {
        watch,
        stdin,
        pid: pid.trim().parse().expect("the shell says the process id"),
    }
}

/// A port that nobody listens on, and that this process has not given before. Ports below the ephemeral range, so that
/// no outgoing connection takes it in between.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let process = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (process.wrapping_mul(7).wrapping_add(step)) % 18_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// One command on a connection of its own. The reply is as it came.
fn ask(port: u16, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    // It answers QUIT by closing: then everything was read.
    request.push_str("*1\r\n$4\r\nQUIT\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}
