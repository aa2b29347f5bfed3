//! Both sides of the boundary in one process: calls, futures, wakers, cancellation and panics.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use coordinator_abi::call::FailureMeta;
use coordinator_abi::code::{outcome, tell};
use coordinator_abi::log::LogTableRef;
use coordinator_abi::plugin::{describe, table, unsupported};
use coordinator_abi::{
    Call, Code, Host, Instance, Lend, Opened, Outcome, RawFuture, Serve, SharedBytes,
};

const ECHO: Code = Code(1);
const PUBLISH: Code = Code(2);
const PANIC_BEFORE: Code = Code(3);
const PANIC_IN_POLL: Code = Code(4);
const FOREVER: Code = Code(5);
const PANIC_IN_DROP: Code = Code(6);
const YIELD_ONCE: Code = Code(7);
const ASK: Code = Code(8);
const TELL: Code = Code(9);

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Plugin;

struct CountDrop;
impl Drop for CountDrop {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

struct PanicInDrop;
impl Drop for PanicInDrop {
    fn drop(&mut self) {
        panic!("in the drop of a future");
    }
}

impl Serve for Plugin {
    fn describe() -> String {
        "{}".to_owned()
    }

    fn open(_: Host) -> Self {
        Self
    }

    fn call(_: Opened<Self>, call: Call) -> RawFuture {
        match call.op {
            ECHO => RawFuture::new(async move {
                Outcome {
                    body: call.body,
                    ..Outcome::ok()
                }
            }),
            PUBLISH => RawFuture::new(async move { call.lent.publish(call.meta, call.body).await }),
            ASK => RawFuture::new(async move {
                call.lent.ask(Code(call.index), call.meta, call.body).await
            }),
            TELL => RawFuture::new(async move {
                let told = call.lent.tell(Code(call.index), &call.body);
                Outcome {
                    body: told.to_string().into(),
                    ..Outcome::ok()
                }
            }),
            PANIC_BEFORE => panic!("before the future"),
            PANIC_IN_POLL => RawFuture::new(async move { panic!("in the poll of {}", call.index) }),
            FOREVER => RawFuture::new(async {
                let _held = CountDrop;
                std::future::pending().await
            }),
            PANIC_IN_DROP => RawFuture::new(async {
                let _held = PanicInDrop;
                std::future::pending().await
            }),
            YIELD_ONCE => RawFuture::new(async {
                let mut yielded = false;
                std::future::poll_fn(|context| {
                    if yielded {
                        return Poll::Ready(());
                    }
                    yielded = true;
                    let waker = context.waker().clone();
                    std::thread::spawn(move || waker.wake());
                    Poll::Pending
                })
                .await;
                Outcome::ok()
            }),
            other => RawFuture::ready(unsupported(other)),
        }
    }

    fn refresh_logs() {}
}

#[derive(Default)]
struct Port {
    published: AtomicUsize,
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = None;

    fn publish(self: Arc<Self>, _: SharedBytes, _: SharedBytes) -> RawFuture {
        self.published.fetch_add(1, Ordering::SeqCst);
        RawFuture::ready(Outcome::ok())
    }

    fn http(self: Arc<Self>, _: SharedBytes, _: SharedBytes) -> RawFuture {
        panic!("the host's own bug")
    }

    fn sleep(self: Arc<Self>, _: Duration) -> RawFuture {
        RawFuture::ready(Outcome::ok())
    }

    fn now(&self) -> i64 {
        7
    }

    fn ask(self: Arc<Self>, what: Code, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        match what {
            Code(3) => RawFuture::ready(Outcome {
                meta,
                body,
                ..Outcome::ok()
            }),
            other => RawFuture::ready(coordinator_abi::host::unsupported(other)),
        }
    }

    fn tell(&self, what: Code, input: &[u8]) -> u64 {
        match what {
            Code(3) => input.len() as u64,
            Code(4) => panic!("the host's own bug"),
            _ => tell::UNKNOWN,
        }
    }
}

struct Unpark(std::thread::Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(mut future: RawFuture) -> Outcome {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park_timeout(Duration::from_secs(10)),
        }
    }
}

fn call(op: Code) -> Outcome {
    call_at(op, 3)
}

fn call_at(op: Code, index: u32) -> Outcome {
    let instance = Instance::<Port>::open(table::<Plugin>());
    block_on(instance.call(
        op,
        index,
        Arc::default(),
        SharedBytes::new(),
        SharedBytes::from_static(b"hello"),
    ))
}

#[test]
fn a_plugin_describes_itself() {
    assert_eq!(&*describe(table::<Plugin>()).unwrap(), b"{}");
}

#[test]
fn a_payload_comes_back() {
    let outcome = call(ECHO);
    assert!(outcome.is_ok());
    assert_eq!(&*outcome.body, b"hello");
}

#[test]
fn a_plugin_calls_its_host_through_what_was_lent() {
    let port = Arc::new(Port::default());
    let instance = Instance::<Port>::open(table::<Plugin>());
    let outcome = block_on(instance.call(
        PUBLISH,
        0,
        Arc::clone(&port),
        SharedBytes::new(),
        SharedBytes::new(),
    ));
    assert!(outcome.is_ok());
    assert_eq!(port.published.load(Ordering::SeqCst), 1);
    drop(instance);
    assert_eq!(
        Arc::strong_count(&port),
        1,
        "the plugin gave back what it was lent"
    );
}

#[test]
fn a_wake_from_another_thread_crosses() {
    assert!(call(YIELD_ONCE).is_ok());
}

#[test]
fn a_panic_is_an_answer_wherever_it_happens() {
    for (op, says) in [
        (PANIC_BEFORE, "before the future"),
        (PANIC_IN_POLL, "in the poll of 3"),
    ] {
        let outcome = call(op);
        assert_eq!(outcome.code, outcome::PANICKED);
        assert!(FailureMeta::of(&outcome).chain[0].contains(says));
    }
}

#[test]
fn dropping_a_call_cancels_it_even_if_its_drop_panics() {
    let instance = Instance::<Port>::open(table::<Plugin>());
    let waker = Waker::noop();
    for op in [FOREVER, PANIC_IN_DROP] {
        let mut future = instance.call(
            op,
            0,
            Arc::default(),
            SharedBytes::new(),
            SharedBytes::new(),
        );
        assert!(
            Pin::new(&mut future)
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
        drop(future);
    }
    assert_eq!(DROPPED.load(Ordering::SeqCst), 1);
}

#[test]
fn an_unknown_operation_is_refused() {
    assert_eq!(call(Code(99)).code, outcome::UNSUPPORTED);
}

#[test]
fn a_plugin_asks_its_host_and_is_told_what_the_host_does_not_know() {
    let answer = call_at(ASK, 3);
    assert!(answer.is_ok());
    assert_eq!(&*answer.body, b"hello");
    let refused = call_at(ASK, 999);
    assert_eq!(refused.code, outcome::UNSUPPORTED);
    assert!(FailureMeta::of(&refused).chain[0].contains("service 999"));
}

#[test]
fn what_a_plugin_tells_is_answered_at_once_and_a_panic_is_unknown() {
    assert_eq!(&*call_at(TELL, 3).body, b"5");
    let unknown = tell::UNKNOWN.to_string();
    assert_eq!(&*call_at(TELL, 4).body, unknown.as_bytes());
    assert_eq!(&*call_at(TELL, 5).body, unknown.as_bytes());
}
