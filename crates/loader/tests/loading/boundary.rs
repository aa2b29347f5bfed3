//! Loaded plugins at work: calls, answers and panics across the boundary of a real file.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use coordinator_abi::call::{FailureMeta, HandleMeta, ResponseMeta, RouteFailure, RouteMeta};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{Code, Instance, Outcome, RawFuture, SharedBytes};
use coordinator_loader::{Loader, Trust};

use crate::lent::{Port, Published};
use crate::plugin_file::{hello, misbehaving};

/// An instance of a loaded file, and the names of its handlers.
pub(crate) struct Plugin {
    instance: Instance<Port>,
    handlers: Vec<String>,
    routes: Vec<String>,
}

impl Plugin {
    pub(crate) fn open(file: &Path) -> Self {
        let loaded = Loader::new(Trust::Any).load(file).unwrap();
        let manifest = loaded.manifest();
        let names = manifest.handlers.iter().map(|handler| handler.name.clone());
        Self {
            instance: loaded.open(),
            handlers: names.collect(),
            routes: manifest.routes.iter().map(|r| r.name.clone()).collect(),
        }
    }

    async fn started(file: &Path) -> Self {
        let plugin = Self::open(file);
        let answer = plugin.start("{}").await;
        assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
        plugin
    }

    pub(crate) fn start(&self, settings: &'static str) -> RawFuture {
        let body = SharedBytes::from_static(settings.as_bytes());
        let port = Arc::new(Port::default());
        self.instance
            .call(op::START, 0, port, SharedBytes::new(), body)
    }

    fn handle(&self, handler: &str, attempt: u64, payload: &str) -> RawFuture {
        let meta = HandleMeta {
            id: "0190-m".to_owned(),
            attempt,
            ..HandleMeta::default()
        };
        let index = position(&self.handlers, handler);
        let port = Arc::new(Port::default());
        let payload = payload.to_owned().into();
        self.instance
            .call(op::HANDLE, index, port, meta.encode(), payload)
    }

    pub(crate) fn handle_with(&self, handler: &str, port: &Arc<Port>, payload: &str) -> RawFuture {
        let meta = HandleMeta {
            id: "0190-m".to_owned(),
            attempt: 1,
            ..HandleMeta::default()
        };
        let index = position(&self.handlers, handler);
        let (port, payload) = (Arc::clone(port), payload.to_owned().into());
        self.instance
            .call(op::HANDLE, index, port, meta.encode(), payload)
    }

    /// An operation that needs nothing but a started instance.
    pub(crate) fn ask(&self, what: Code) -> RawFuture {
        let port = Arc::new(Port::default());
        let (meta, body) = (SharedBytes::new(), SharedBytes::new());
        self.instance.call(what, 0, port, meta, body)
    }

    pub(crate) fn route(&self, route: &str, port: &Arc<Port>, body: &str) -> RawFuture {
        let meta = RouteMeta {
            method: "POST".to_owned(),
            params: vec![("what".to_owned(), "fine".to_owned())],
            ..RouteMeta::default()
        };
        let index = position(&self.routes, route);
        let (port, body) = (Arc::clone(port), body.to_owned().into());
        self.instance
            .call(op::ROUTE, index, port, meta.encode(), body)
    }

    /// Whatever happened before: it goes on.
    async fn assert_well(&self) {
        let answer = self.handle("fine", 1, r#"{"id":"1"}"#).await;
        assert!(answer.is_ok(), "{:?}", FailureMeta::of(&answer));
    }
}

fn position(names: &[String], name: &str) -> u32 {
    let place = names.iter().position(|known| known == name).unwrap();
    u32::try_from(place).unwrap()
}

fn reason(answer: &Outcome) -> String {
    FailureMeta::of(answer).chain.join(": ")
}

#[tokio::test]
async fn a_route_publishes_through_what_the_host_lends() {
    let plugin = Plugin::started(&hello()).await;
    let port = Arc::new(Port::default());
    let answer = plugin.route("ask", &port, r#"{"name":"Ada"}"#).await;
    assert!(answer.is_ok(), "{}", reason(&answer));
    assert_eq!(ResponseMeta::decode(&answer.meta).unwrap().status, 202);
    let expected = Published {
        ty: "org.example.greeting.asked.v1".to_owned(),
        key: Some("Ada".to_owned()),
        payload: r#"{"name":"Ada"}"#.to_owned(),
    };
    assert_eq!(port.published(), [expected]);
}

#[tokio::test]
async fn a_route_whose_message_the_journal_refuses_answers_503_and_when_to_come_again() {
    let plugin = Plugin::started(&hello()).await;
    let port = Arc::new(Port::refusing(outcome::FULL));
    let answer = plugin.route("ask", &port, r#"{"name":"Ada"}"#).await;
    assert_eq!(answer.code, outcome::FAILED);
    let failure: RouteFailure = serde_json::from_slice(&answer.meta).unwrap();
    assert_eq!(
        (failure.status, failure.code.as_str()),
        (503, "journal-full")
    );
    assert_eq!(failure.after_ms, Some(5_000));
}

#[tokio::test]
async fn a_handler_takes_its_message() {
    let plugin = Plugin::started(&hello()).await;
    let answer = plugin.handle("greet", 1, r#"{"name":"Ada"}"#).await;
    assert!(answer.is_ok(), "{}", reason(&answer));
}

#[tokio::test]
async fn a_payload_of_another_shape_is_dead_and_its_values_are_not_told() {
    let plugin = Plugin::started(&hello()).await;
    let answer = plugin.handle("greet", 1, r#"{"name":["Ada"]}"#).await;
    assert_eq!(answer.code, outcome::DEAD);
    assert!(
        reason(&answer).contains("expected a string"),
        "{}",
        reason(&answer)
    );
    assert!(!reason(&answer).contains("Ada"), "{}", reason(&answer));
}

#[tokio::test]
async fn a_call_before_the_start_is_refused() {
    let answer = Plugin::open(&hello())
        .handle("greet", 1, r#"{"name":"Ada"}"#)
        .await;
    assert_eq!(answer.code, outcome::UNAVAILABLE);
}

#[tokio::test]
async fn a_setting_that_the_plugin_does_not_have_is_refused_by_name() {
    let answer = Plugin::open(&hello()).start(r#"{"greting": "Hi"}"#).await;
    assert_eq!(answer.code, outcome::REJECTED);
    assert!(reason(&answer).contains("greting"), "{}", reason(&answer));
}

#[tokio::test]
async fn what_a_plugin_does_not_know_it_says() {
    let plugin = Plugin::started(&hello()).await;
    let (port, empty) = (Arc::new(Port::default()), SharedBytes::new());
    let unknown = plugin
        .instance
        .call(Code(999), 0, Arc::clone(&port), empty.clone(), empty);
    assert_eq!(unknown.await.code, outcome::UNSUPPORTED);
    let meta = HandleMeta::default().encode();
    let nobody = plugin
        .instance
        .call(op::HANDLE, 77, port, meta, SharedBytes::new());
    assert_eq!(nobody.await.code, outcome::DEAD);
}

#[tokio::test]
async fn two_instances_of_one_file_are_two_plugins() {
    let loaded = Loader::new(Trust::Any).load(&hello()).unwrap();
    let (started, fresh) = (loaded.open::<Port>(), loaded.open::<Port>());
    let call = |instance: &Instance<Port>, op| {
        let empty = SharedBytes::new();
        let settings = SharedBytes::from_static(b"{}");
        instance.call(op, 0, Arc::new(Port::default()), empty, settings)
    };
    assert!(call(&started, op::START).await.is_ok());
    assert!(call(&started, op::HEALTH).await.is_ok());
    assert_eq!(call(&fresh, op::HEALTH).await.code, outcome::UNAVAILABLE);
}

#[tokio::test]
async fn a_handler_that_panics_says_so_and_the_plugin_goes_on() {
    let plugin = Plugin::started(&misbehaving()).await;
    for _ in 0..3 {
        let answer = plugin.handle("panics", 1, r#"{"id":"1"}"#).await;
        assert_eq!(answer.code, outcome::PANICKED);
        assert!(
            reason(&answer).contains("in a handler, as asked"),
            "{}",
            reason(&answer)
        );
    }
    plugin.assert_well().await;
}

#[tokio::test]
async fn a_route_that_panics_says_so_and_the_plugin_goes_on() {
    let plugin = Plugin::started(&misbehaving()).await;
    let port = Arc::new(Port::default());
    let answer = plugin.route("panic", &port, "").await;
    assert_eq!(answer.code, outcome::PANICKED);
    let answer = plugin.route("publish", &port, r#"{"id":"1"}"#).await;
    assert!(answer.is_ok(), "{}", reason(&answer));
    assert_eq!(port.published()[0].ty, "org.example.misbehave.fine.v1");
    plugin.assert_well().await;
}

#[tokio::test]
async fn a_future_that_panics_when_it_is_given_up_is_survived() {
    let plugin = Plugin::started(&misbehaving()).await;
    for handler in ["panics_in_drop", "never_completes"] {
        let call = plugin.handle(handler, 1, r#"{"id":"1"}"#);
        let mut call = Box::pin(call);
        let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending(), "{handler}");
        drop(call);
        plugin.assert_well().await;
    }
}

#[tokio::test]
async fn a_handler_knows_which_attempt_it_is() {
    let plugin = Plugin::started(&misbehaving()).await;
    let first = plugin.handle("flaky", 1, r#"{"id":"1"}"#).await;
    assert_eq!(first.code, outcome::RETRY);
    let second = plugin.handle("flaky", 2, r#"{"id":"1"}"#).await;
    assert!(second.is_ok(), "{}", reason(&second));
}

#[tokio::test]
async fn a_future_is_polled_on_any_thread() {
    let plugin = Plugin::started(&hello()).await;
    let port = Arc::new(Port::default());
    let call = plugin.route("ask", &port, r#"{"name":"Ada"}"#);
    let answer = tokio::task::spawn_blocking(|| {
        let mut call = pin!(call);
        let first = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending(), "the journal takes its time");
        tokio::runtime::Handle::current().block_on(call)
    });
    assert!(answer.await.unwrap().is_ok());
    assert_eq!(port.published().len(), 1);
}
