//! Commands that talk to a host: one that is there, and one that is not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::run::{Ended, Folder, coordinator, end, folder};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"

[api.keys.tests]
secret = "env:TESTS_KEY"
"#;

/// A host without plugins.
struct Host {
    process: Child,
    folder: Folder,
    url: String,
}

impl Host {
    /// Returns when it listens; its log says where.
    fn start() -> Self {
        let folder = folder().with("coordinator.toml", CONFIG);
        let mut process = coordinator()
            .arg("serve")
            .current_dir(folder.path())
            .env("TESTS_KEY", "hunter2")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut log = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let url = log.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, url) = line.split_once("listening on ")?;
            url.split_whitespace().next().map(str::to_owned)
        });
        // Read on: a host whose log nobody reads would stop.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            process,
            folder,
            url: url.expect("it says where it listens"),
        }
    }

    fn run(&self, key: Option<&str>, arguments: &[&str]) -> Ended {
        let mut command = coordinator();
        command
            .args(arguments)
            .args(["--url", &self.url])
            .current_dir(self.folder.path());
        if let Some(key) = key {
            command.env("COORDINATOR_KEY", key);
        }
        end(&mut command, "")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn no_host_exits_with_69_and_says_how_to_start_one() {
    let folder = folder();
    for command in [
        &["messages", "list"][..],
        &["dead-letters", "list"],
        &["handlers", "pause", "lms.enrol"],
        &["handlers", "skip", "lms.enrol", "--yes"],
        &["messages", "tail"],
        &["messages", "replay", "--all", "--dry-run"],
        &["messages", "discard", "ID", "--yes"],
        &["dead-letters", "discard", "--all", "--yes"],
        &["plugin", "list"],
    ] {
        // Port 9 is that of the discard service, which nobody runs.
        let arguments = [command, &["--url", "http://127.0.0.1:9"]].concat();
        let ended = folder.run(&arguments).exits(69);
        assert!(ended.err.contains("http://127.0.0.1:9"), "{ended:#?}");
        assert!(ended.err.contains("coordinator serve"), "{ended:#?}");
    }
}

#[test]
fn a_missing_key_and_a_wrong_one_are_told_apart() {
    let host = Host::start();
    let missing = host.run(None, &["messages", "list"]).exits(1);
    assert!(missing.err.contains("no key was given"), "{missing:#?}");
    let wrong = host.run(Some("guess"), &["messages", "list"]).exits(1);
    assert!(wrong.err.contains("none of the host's"), "{wrong:#?}");
    assert!(!wrong.err.contains("guess"), "{wrong:#?}");
    host.run(Some("hunter2"), &["messages", "list"]).exits(0);
}

#[test]
fn json_is_what_the_api_answers_and_a_refusal_names_its_code() {
    let host = Host::start();
    let run = |arguments: &[&str]| host.run(Some("hunter2"), arguments);
    for list in ["messages", "dead-letters", "handlers", "plugin"] {
        let json = run(&[list, "list", "--output", "json"]).exits(0).json();
        assert_eq!(json["items"], serde_json::json!([]), "{list}");
    }
    let publish = [
        "messages",
        "publish",
        "--type",
        "org.example.nobody.knows.v1",
        "--key",
        "A-1",
    ];
    let unknown = run(&publish).exits(1);
    assert!(unknown.err.contains("[unknown-type]"), "{unknown:#?}");
    let nobody = run(&["handlers", "pause", "lms.enrol"]).exits(1);
    assert!(nobody.err.contains("[no-such-handler]"), "{nobody:#?}");
    run(&["handlers", "skip", "lms.enrol", "--yes"]).exits(1);
    run(&["messages", "tail", "--cursor", "odd"]).exits(1);
    run(&["messages", "show", "01a2038f-1f44-7f78-987c-3ef45bef987a"]).exits(1);
}

#[test]
fn what_cannot_be_taken_back_is_confirmed_by_a_person_or_by_yes() {
    let host = Host::start();
    let run = |arguments: &[&str]| host.run(Some("hunter2"), arguments);
    let id = "01a2038f-1f44-7f78-987c-3ef45bef987a";
    for destructive in [
        &["messages", "discard", id][..],
        &["dead-letters", "discard", id],
        &["handlers", "skip", "lms.enrol"],
    ] {
        let asked = run(destructive).exits(64);
        assert!(asked.err.contains("--yes"), "{asked:#?}");
        run(&[destructive, &["--yes"]].concat()).exits(1);
    }
    for verb in ["replay", "discard"] {
        let told = run(&["dead-letters", verb, "--all", "--yes"]).exits(0);
        assert!(told.out.ends_with("deliveries: 0\n"), "{told:#?}");
    }
}
