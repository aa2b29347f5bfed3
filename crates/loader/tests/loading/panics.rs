//! A plugin that panics wherever it can: each panic is an answer that names its place, and the plugin goes on.

use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, HandleMeta};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::log::{self, Callsite, Field, LogTableRef, Receive, Registered, interest};
use coordinator_abi::step::StepMeta;
use coordinator_abi::{Code, Instance, Lend, Manifest, Outcome, RawFuture, SharedBytes};
use coordinator_loader::{Loader, Trust};

use crate::plugin_file::misbehaving;

/// For a hung thread, not an expectation.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host with a log, which is all that these calls need: with it the plugin tells where it panicked.
struct Logging;

impl Lend for Logging {
    const LOG: Option<fn() -> LogTableRef> = Some(log::table::<Lines>);

    fn publish(self: Arc<Self>, _: SharedBytes, _: SharedBytes) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn http(self: Arc<Self>, _: SharedBytes, _: SharedBytes) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn sleep(self: Arc<Self>, _: Duration) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn now(&self) -> i64 {
        0
    }
}

/// The texts of all events.
struct Lines;

static LINES: (Mutex<Vec<String>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());

impl Receive for Lines {
    const MAX_LEVEL: &'static AtomicU32 = {
        static LEVEL: AtomicU32 = AtomicU32::new(log::level::ERROR.0);
        &LEVEL
    };

    fn register(_: &Callsite<'_>) -> Registered {
        Registered {
            id: 1,
            interest: interest::ALWAYS,
        }
    }

    fn enabled(_: u64) -> bool {
        true
    }

    fn event(_: u64, fields: &[Field<'_>]) {
        let line: Vec<&str> = fields.iter().map(|field| field.text.as_str()).collect();
        let mut lines = LINES.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.join(" "));
        LINES.1.notify_all();
    }

    fn new_span(_: u64, _: &[Field<'_>]) -> u64 {
        1
    }

    fn record(_: u64, _: u64, _: &[Field<'_>]) {}

    fn enter(_: u64) {}

    fn exit(_: u64) {}

    fn clone_span(span: u64) -> u64 {
        span
    }

    fn close(_: u64) -> bool {
        true
    }
}

/// Waits until a line of the log has `text`, and answers it.
fn logged(text: &str) -> String {
    let lines = LINES.0.lock().unwrap();
    let has = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
    let (lines, waited) = LINES.1.wait_timeout_while(lines, PATIENCE, has).unwrap();
    assert!(!waited.timed_out(), "`{text}` is logged: {lines:#?}");
    let line = lines.iter().find(|line| line.contains(text));
    line.cloned().unwrap()
}

struct Plugin {
    instance: Instance<Logging>,
    manifest: Manifest,
}

impl Plugin {
    fn open() -> Self {
        let loaded = Loader::new(Trust::Any).load(&misbehaving()).unwrap();
        Self {
            instance: loaded.open(),
            manifest: loaded.manifest().clone(),
        }
    }

    async fn started(settings: &str) -> Self {
        let plugin = Self::open();
        let answer = plugin.call(op::START, 0, settings).await;
        assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
        plugin
    }

    fn call(&self, op: Code, index: u32, body: &str) -> RawFuture {
        let meta = match op {
            op::STEP => StepMeta::default().encode(),
            _ => HandleMeta::default().encode(),
        };
        let body = body.to_owned().into();
        self.instance.call(op, index, Arc::new(Logging), meta, body)
    }

    fn handle(&self, handler: &str) -> RawFuture {
        let place = self
            .manifest
            .handlers
            .iter()
            .position(|h| h.name == handler);
        let index = u32::try_from(place.unwrap()).unwrap();
        self.call(op::HANDLE, index, r#"{"id":"1"}"#)
    }

    async fn assert_well(&self) {
        assert!(self.handle("fine").await.is_ok(), "it goes on");
    }
}

/// It is an answer, and says what was said, and where.
#[track_caller]
fn assert_panicked(answer: &Outcome, text: &str) {
    assert_eq!(answer.code, outcome::PANICKED, "{text}");
    let chain = FailureMeta::of(answer).chain.join(": ");
    assert!(chain.contains(text), "{chain}");
    assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    assert!(logged(text).contains("misbehaving/src/lib.rs:"));
}

#[tokio::test]
async fn a_panic_is_an_answer_with_its_place_wherever_it_happens() {
    let plugin = Plugin::started("{}").await;
    let panics = r#"{"id":"panics"}"#;
    for (answer, text) in [
        (plugin.handle("panics"), "in a handler, as asked"),
        (plugin.call(op::STEP, 0, panics), "in a step, as asked"),
        (plugin.call(op::SCHEDULE, 0, ""), "in a schedule, as asked"),
        (plugin.call(op::COMMAND, 0, "{}"), "in a command, as asked"),
    ] {
        assert_panicked(&answer.await, text);
        plugin.assert_well().await;
    }
}

#[tokio::test]
async fn a_panic_in_a_hook_is_an_answer_with_its_place() {
    for (place, op) in [
        ("health", op::HEALTH),
        ("stop", op::STOP),
        ("check", op::CHECK),
    ] {
        let plugin = Plugin::started(&format!(r#"{{"panics_in":"{place}"}}"#)).await;
        let answer = plugin.call(op, 0, "").await;
        assert_panicked(&answer, &format!("in the {place}, as asked"));
        plugin.assert_well().await;
    }
}

#[tokio::test]
async fn a_start_that_panics_leaves_an_instance_that_refuses() {
    let plugin = Plugin::open();
    let answer = plugin.call(op::START, 0, r#"{"panics_in":"start"}"#).await;
    assert_panicked(&answer, "in the start, as asked");
    assert_eq!(plugin.handle("fine").await.code, outcome::UNAVAILABLE);
}

#[tokio::test]
async fn a_state_that_panics_when_it_is_dropped_is_told_and_survived() {
    let plugin = Plugin::started(r#"{"panics_in":"drop"}"#).await;
    plugin.assert_well().await;
    drop(plugin);
    assert!(logged("in the drop, as asked").contains("misbehaving/src/lib.rs:"));
    Plugin::started("{}").await.assert_well().await;
}

#[tokio::test]
async fn a_payload_that_panics_when_it_is_dropped_is_survived() {
    let plugin = Plugin::started("{}").await;
    for _ in 0..3 {
        let answer = plugin.handle("panics_twice").await;
        assert_eq!(answer.code, outcome::PANICKED);
        let chain = FailureMeta::of(&answer).chain.join(": ");
        assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    }
    plugin.assert_well().await;
}

#[tokio::test]
async fn a_step_that_panics_when_it_is_given_up_is_told_and_survived() {
    let plugin = Plugin::started("{}").await;
    let mut call = plugin.call(op::STEP, 0, r#"{"id":"waits"}"#);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut call).poll(&mut context).is_pending());
    drop(call);
    assert!(logged("in a drop, as asked").contains("misbehaving/src/lib.rs:"));
    plugin.assert_well().await;
}

#[tokio::test]
async fn threads_of_the_plugins_own_that_panic_are_told_with_their_place() {
    let plugin = Plugin::started("{}").await;
    let answer = plugin.handle("panics_elsewhere").await;
    assert_eq!(answer.code, outcome::RETRY);
    let chain = FailureMeta::of(&answer).chain.join(": ");
    assert!(chain.contains("in blocking work, as asked"), "{chain}");
    assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    let elsewhere = logged("on a thread of its own, as asked");
    assert!(elsewhere.contains("misbehaving/src/lib.rs:"), "{elsewhere}");
    plugin.assert_well().await;
}
