//! `coordinator dev`: a real host with a real plugin, a saved change, a build that fails, and the end.
//!
//! A stand-in for cargo "builds" by naming the greeter's file, which is built already: compiling it again would take
//! minutes. What cargo says to the command is what the stand-in says.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use coordinator_tests::{Ask, built, eventually, interrupt};
use serde_json::json;
use tempfile::TempDir;

const CARGO: &str = r#"#!/bin/sh
if [ -e broken ]; then echo 'error: expected one of two things' >&2; exit 101; fi
echo '{"reason":"compiler-artifact","manifest_path":"PATH/Cargo.toml","filenames":["LIBRARY"]}'
"#;

/// A plugin's folder, and `coordinator dev` at work on it.
struct Author {
    folder: TempDir,
    dev: Child,
    url: String,
    messages: Lines,
    log: Lines,
}

/// What is printed, as it is.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Printed>>);

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    /// Nobody is left who could print more.
    ended: bool,
}

impl Lines {
    fn follow(said: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let theirs = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                theirs.printed().lines.push(line);
            }
            theirs.printed().ended = true;
        });
        lines
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().expect("each use is one step")
    }

    fn has(&self, text: &str) -> bool {
        let printed = self.printed();
        printed.lines.iter().any(|line| line.contains(text))
    }

    #[track_caller]
    fn until(&self, text: &str) {
        eventually(&format!("`{text}` is printed"), || {
            self.has(text).then_some(())
        });
    }
}

impl Author {
    /// Returns when the plugin is served.
    fn begin() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it is there");
        fs::create_dir(path.join("src")).expect("the folder is writable");
        for name in ["Cargo.toml", "src/lib.rs"] {
            fs::write(path.join(name), "").expect("the folder is writable");
        }
        let library = built("libhello.so");
        let cargo = CARGO
            .replace("PATH", path.to_str().expect("it is text"))
            .replace("LIBRARY", library.to_str().expect("it is text"));
        let script = path.join("cargo.sh");
        fs::write(&script, cargo).expect("the folder is writable");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = port.expect("a free port").to_string();
        let mut dev = Command::new(built("coordinator"))
            .arg("dev")
            .arg(&path)
            .args(["--listen", &address])
            .env("CARGO", &script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let author = Self {
            messages: Lines::follow(dev.stdout.take().expect("it is piped")),
            log: Lines::follow(dev.stderr.take().expect("it is piped")),
            url: format!("http://{address}"),
            folder,
            dev,
        };
        author.log.until("dev: serving `coordinator-hello`");
        author
    }

    fn save(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("the folder is writable");
    }

    #[track_caller]
    fn greet(&self) {
        let url = format!("{}/coordinator-hello/greetings", self.url);
        let ask = Ask::new("POST", &url).json(&json!({"name": "Ada"}));
        ask.send().is(202);
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        if self.dev.try_wait().is_ok_and(|ended| ended.is_none()) {
            interrupt(&self.dev);
            // It ends the host, and then itself.
            let _ = self.dev.wait();
        }
    }
}

#[test]
fn an_author_sees_messages_and_the_log_and_each_change_as_it_is_saved() {
    let mut author = Author::begin();
    // Messages are followed from a moment after the host listens.
    eventually("a message is printed", || {
        author.greet();
        author
            .messages
            .has("org.example.greeting.asked.v1")
            .then_some(())
    });
    author.log.until("Hello!");

    author.save(
        "dev.toml",
        "[plugins.coordinator-hello.settings]\ngreeting = \"Moin\"\n",
    );
    author.log.until("dev: `coordinator-hello` changed");
    author
        .log
        .until("the configuration was read again, and is in force");
    author.greet();
    author.log.until("Moin!");

    author.save("broken", "");
    author.save("src/lib.rs", "fn broken(");
    author.log.until("expected one of two things");
    author
        .log
        .until("dev: it does not build; save a change to try again");
    author.greet();

    interrupt(&author.dev);
    let ended = author.dev.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0));
    let gone = Ask::new("GET", &format!("{}/livez", author.url)).try_send();
    assert!(gone.is_none(), "the host has ended with it");
}

#[test]
fn what_it_started_ends_with_it_also_when_it_is_killed() {
    let mut author = Author::begin();
    eventually("messages are followed", || {
        author.greet();
        author
            .messages
            .has("org.example.greeting.asked.v1")
            .then_some(())
    });
    author.dev.kill().expect("it runs, and is ours");
    author.dev.wait().expect("it is ours");
    // The host, and what follows its messages, held the other ends of these.
    for said in [&author.log, &author.messages] {
        eventually("nobody is left who prints", || {
            said.printed().ended.then_some(())
        });
    }
    let gone = Ask::new("GET", &format!("{}/livez", author.url)).try_send();
    assert!(gone.is_none(), "the host has ended with it");
    author.log.until("stopped");
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let author = Author::begin();
    let second = Command::new(built("coordinator"))
        .arg("dev")
        .arg(author.folder.path())
        .args(["--listen", author.url.trim_start_matches("http://")])
        .env("CARGO", author.folder.path().join("cargo.sh"))
        .output()
        .expect("the binary runs");
    assert_eq!(second.status.code(), Some(69));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("--listen"), "{told}");
    author.greet();
}

#[test]
fn a_folder_without_a_plugin_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ended = Command::new(built("coordinator"))
        .arg("dev")
        .arg(folder.path())
        .output()
        .expect("the binary runs");
    assert_eq!(ended.status.code(), Some(64));
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("coordinator plugin new"), "{told}");
}
