//! A payload crosses the boundary as it lies in memory: what is allocated for a call does not depend on its size.
#![expect(
    unsafe_code,
    reason = "an allocator that counts; it hands everything on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use coordinator_abi::call::RouteMeta;
use coordinator_abi::code::op;
use coordinator_abi::log::LogTableRef;
use coordinator_abi::plugin::table;
use coordinator_abi::{Instance, Lend, Outcome, RawFuture, SharedBytes};
use coordinator_sdk::__private::Served;
use coordinator_sdk::prelude::*;

/// Counts what its thread allocates: of one test, not of its neighbours.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { times: 0, bytes: 0 }) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allocated {
    times: usize,
    bytes: usize,
}

fn count(bytes: usize) {
    let Allocated { times, bytes: sum } = ALLOCATED.get();
    ALLOCATED.set(Allocated {
        times: times + 1,
        bytes: sum + bytes,
    });
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's own condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's own condition.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's own condition.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// No settings.
#[settings]
struct Weigher {}

#[plugin]
impl Weigher {
    /// Looks at the whole body.
    #[route(post, "/weigh", auth = public)]
    async fn weigh(&self, _ctx: &Context, request: Request) -> Result<Response, RouteError> {
        let light = request.body().iter().all(|byte| *byte == 7);
        Ok(Response::status(if light { 200 } else { 400 }))
    }
}

/// A host that lends nothing.
struct Nothing;

impl Lend for Nothing {
    const LOG: Option<fn() -> LogTableRef> = None;

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

fn finished(call: RawFuture) -> Outcome {
    match pin!(call).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// What one request with a body of so many bytes allocates, on both sides.
fn allocated_by(instance: &Instance<Nothing>, size: usize) -> Allocated {
    let meta = RouteMeta {
        method: "POST".to_owned(),
        ..RouteMeta::default()
    };
    let (meta, body) = (meta.encode(), SharedBytes::from(vec![7; size]));
    let (lent, before) = (Arc::new(Nothing), ALLOCATED.get());
    let answer = finished(instance.call(op::ROUTE, 0, lent, meta, body));
    let after = ALLOCATED.get();
    assert!(answer.is_ok(), "the whole body is there");
    Allocated {
        times: after.times - before.times,
        bytes: after.bytes - before.bytes,
    }
}

#[test]
fn sixty_four_kib_cross_without_a_copy() {
    let instance = Instance::<Nothing>::open(table::<Served<Weigher>>());
    let settings = SharedBytes::from_static(b"{}");
    let start = instance.call(
        op::START,
        0,
        Arc::new(Nothing),
        SharedBytes::new(),
        settings,
    );
    assert!(finished(start).is_ok());
    // What is made once, on first use, is not counted.
    allocated_by(&instance, 64);
    let (small, large) = (
        allocated_by(&instance, 64),
        allocated_by(&instance, 64 * 1024),
    );
    assert_eq!(large, small);
    assert!(large.times > 0, "the counter counts");
    assert!(large.bytes < 4 * 1024, "{large:?}");
}
