//! Every released minor of the ABI against this one: a plugin of then in the host of today, and a plugin of today in
//! the host of then. `tests/abi/MINOR` holds the sources as they were released, with their own lock file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use coordinator_abi::call::{FailureMeta, ResponseMeta, RouteFailure};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{ABI_MAJOR, ABI_MINOR, Code};
use coordinator_loader::{Loader, Trust};
use serde_json::{Value, json};

use crate::boundary::Plugin;
use crate::lent::{Port, Published};
use crate::plugin_file::{folder, hello};

const SETTINGS: &str = r#"{"ledger":"http://ledger/","token":"t"}"#;

/// Plugin and host of ABI 1.0.
struct Frozen {
    plugin: PathBuf,
    host: PathBuf,
}

/// Built once, in a target folder of its own.
fn frozen() -> &'static Frozen {
    static BUILT: OnceLock<Frozen> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sources = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/abi/1.0/Cargo.toml"
        );
        let target = folder().with_file_name("abi-1.0");
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--workspace",
                "--locked",
                "--manifest-path",
                sources,
            ])
            .arg("--target-dir")
            .arg(&target)
            .output()
            .expect("the cargo that runs this test can be started");
        let log = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "ABI 1.0 does not build:\n{log}");
        Frozen {
            plugin: target.join("debug/libfrozen_plugin.so"),
            host: target.join("debug/frozen-host"),
        }
    })
}

/// What the old host says of a plugin, line by line, when it is told to do this.
fn old_host(plugin: &Path, lines: &[&str]) -> Vec<Value> {
    let mut host = Command::new(&frozen().host)
        .arg(plugin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = host.stdin.take().unwrap();
    stdin.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let ended = host.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "the old host failed:\n{said}");
    let out = String::from_utf8(ended.stdout).unwrap();
    let answers: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len() + 1, "{out}\n{said}");
    answers
}

fn is_ok(answer: &Value) -> bool {
    answer["code"] == outcome::OK.0
}

#[tokio::test]
async fn a_plugin_of_1_0_does_all_that_it_did() {
    let plugin = Plugin::open(&frozen().plugin);
    let started = plugin.start(SETTINGS).await;
    assert!(started.is_ok(), "{:?}", FailureMeta::of(&started));

    let port = Arc::new(Port::default());
    let order = r#"{"number":"7","amount":1250}"#;
    let answer = plugin.route("place", &port, order).await;
    assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
    assert_eq!(ResponseMeta::decode(&answer.meta).unwrap().status, 202);
    let placed = Published {
        ty: "org.example.order.placed.v1".to_owned(),
        key: Some("7".to_owned()),
        payload: order.to_owned(),
    };
    assert_eq!(port.published(), [placed]);

    let port = Arc::new(Port::answering(r#"{"receipt":"r-1"}"#));
    let answer = plugin.handle_with("book", &port, order).await;
    assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
    let booked = Published {
        ty: "org.example.order.booked.v1".to_owned(),
        key: Some("7".to_owned()),
        payload: r#"{"number":"7","receipt":"r-1"}"#.to_owned(),
    };
    assert_eq!(port.published(), [booked]);
    for last in [op::HEALTH, op::STOP] {
        let answer = plugin.ask(last).await;
        assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
    }
}

#[tokio::test]
async fn a_plugin_of_1_0_fails_as_it_did() {
    let refused = Plugin::open(&frozen().plugin)
        .start(r#"{"ledger":"ftp://ledger/","token":"t"}"#)
        .await;
    assert_eq!(refused.code, outcome::FAILED);
    assert_eq!(
        FailureMeta::of(&refused).chain,
        ["the ledger is called by HTTP"]
    );

    let plugin = Plugin::open(&frozen().plugin);
    assert!(plugin.start(SETTINGS).await.is_ok());
    let port = Arc::new(Port::refusing(outcome::FULL));
    let full = plugin
        .route("place", &port, r#"{"number":"7","amount":1}"#)
        .await;
    let failure: RouteFailure = serde_json::from_slice(&full.meta).unwrap();
    assert_eq!((failure.status, failure.after_ms), (503, Some(5_000)));
    let port = Arc::new(Port::answering(r#"{"receipt":"r-1"}"#));
    let panicked = plugin
        .handle_with("book", &port, r#"{"number":"7","amount":-1}"#)
        .await;
    assert_eq!(panicked.code, outcome::PANICKED);
    assert!(port.published().is_empty());
    let malformed = plugin.handle_with("book", &port, "{}").await;
    assert_eq!(malformed.code, outcome::DEAD);
}

#[tokio::test]
async fn a_plugin_of_1_0_refuses_what_came_later() {
    let plugin = Plugin::open(&frozen().plugin);
    assert!(plugin.start(SETTINGS).await.is_ok());
    for later in [op::STEP, op::SCHEDULE, op::COMMAND, op::CHECK, Code(4_000)] {
        assert_eq!(
            plugin.ask(later).await.code,
            outcome::UNSUPPORTED,
            "{later:?}"
        );
    }
}

#[test]
fn a_plugin_of_1_0_is_described_as_it_describes_itself() {
    let loaded = Loader::new(Trust::Any).load(&frozen().plugin).unwrap();
    assert_eq!(loaded.head().abi, "1.0");
    let manifest = loaded.manifest();
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_str()),
        ("frozen-plugin", "1.0.0")
    );
    assert_eq!(manifest.handlers[0].order.as_deref(), Some("key"));
    assert_eq!(manifest.routes[0].path, "/orders/{shop}");
    assert_eq!(manifest.messages.len(), 2);
    assert!(manifest.steps.is_empty() && manifest.flags.is_empty());
}

#[test]
fn a_plugin_of_today_does_in_a_host_of_1_0_what_1_0_had() {
    let answers = old_host(
        &hello(),
        &[
            "describe",
            "start {\"greeting\":\"Moin\"}",
            "route 0 {\"name\":\"Ada\"}",
            "handle 0 {\"name\":\"Ada\"}",
            "handle 0 {\"name\":7}",
            "health",
            "stop",
        ],
    );
    let [versions, manifest, start, route, handle, dead, health, stop] = &answers[..] else {
        panic!("{answers:?}")
    };
    let today = format!("{ABI_MAJOR}.{ABI_MINOR}");
    assert_eq!(*versions, json!({ "host": "1.0", "plugin": today }));
    assert_eq!(manifest["name"], "coordinator-hello");
    assert!(
        [start, route, handle, health, stop].into_iter().all(is_ok),
        "{answers:?}"
    );
    assert_eq!(route["status"], 202);
    let published = json!([{
        "type": "org.example.greeting.asked.v1", "key": "Ada", "payload": { "name": "Ada" },
    }]);
    assert_eq!(route["published"], published);
    assert_eq!(dead["code"], outcome::DEAD.0);
}

#[test]
fn a_plugin_of_today_says_so_where_a_host_of_1_0_lacks_what_it_needs() {
    let counter = folder().join("libstateful.so");
    let answers = old_host(
        &counter,
        &["start {}", "route 0 ", "health", "op 8", "stop"],
    );
    assert!(
        is_ok(&answers[1]) && is_ok(&answers[3]) && is_ok(&answers[5]),
        "{answers:?}"
    );
    for lacking in [&answers[2], &answers[4]] {
        assert_eq!(lacking["code"], outcome::FAILED.0);
        let why = lacking["meta"].as_str().unwrap();
        assert!(why.contains("the host is older than this plugin"), "{why}");
        assert!(why.contains("plugin ABI 1.0, and this needs 1.1"), "{why}");
    }
}
