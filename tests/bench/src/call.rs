//! One call across the tables of the ABI, against the same call through trait objects.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use coordinator_abi::log::LogTableRef;
use coordinator_abi::plugin::table;
use coordinator_abi::{
    Call, Code, Host, Instance, Lend, Opened, Outcome, RawFuture, Serve, SharedBytes,
};

const READY: Code = Code(1);
const PAIRS: usize = 9;
const CALLS: u32 = 500_000;

/// The plugin's side, across the boundary.
struct Plugin;

/// The host's side, across the boundary and without it.
struct Port;

impl Serve for Plugin {
    fn describe() -> String {
        String::new()
    }

    fn open(_: Host) -> Self {
        Self
    }

    fn call(this: Opened<Self>, call: Call) -> RawFuture {
        if call.op == READY {
            return RawFuture::new(async move {
                let _kept = this;
                Outcome {
                    body: call.body,
                    ..Outcome::ok()
                }
            });
        }
        RawFuture::new(async move {
            let _kept = this;
            call.lent.publish(call.meta, call.body).await
        })
    }

    fn refresh_logs() {}
}

impl Lend for Port {
    const LOG: Option<fn() -> LogTableRef> = None;

    fn publish(self: Arc<Self>, _: SharedBytes, body: SharedBytes) -> RawFuture {
        RawFuture::new(async move {
            let _kept = self;
            Outcome {
                body,
                ..Outcome::ok()
            }
        })
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

type Boxed = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The same, without a boundary: what one would write inside one program.
trait NativePlugin: Send + Sync {
    fn ready(
        self: Arc<Self>,
        host: Arc<dyn NativeHost>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Boxed;
    fn awaiting(
        self: Arc<Self>,
        host: Arc<dyn NativeHost>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Boxed;
}

trait NativeHost: Send + Sync {
    fn publish(self: Arc<Self>, meta: SharedBytes, body: SharedBytes) -> Boxed;
}

impl NativeHost for Port {
    fn publish(self: Arc<Self>, _: SharedBytes, body: SharedBytes) -> Boxed {
        Box::pin(async move {
            let _kept = self;
            Outcome {
                body,
                ..Outcome::ok()
            }
        })
    }
}

impl NativePlugin for Plugin {
    fn ready(
        self: Arc<Self>,
        host: Arc<dyn NativeHost>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Boxed {
        Box::pin(async move {
            let _kept = (self, host, meta);
            Outcome {
                body,
                ..Outcome::ok()
            }
        })
    }

    fn awaiting(
        self: Arc<Self>,
        host: Arc<dyn NativeHost>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Boxed {
        Box::pin(async move {
            let _kept = self;
            host.publish(meta, body).await
        })
    }
}

/// Ratios of a call whose future is ready.
pub(crate) fn ready() -> Vec<f64> {
    pairs(READY, |plugin, host, meta, body| {
        plugin.ready(host, meta, body)
    })
}

/// Ratios of a call that awaits one future of its host.
pub(crate) fn awaiting() -> Vec<f64> {
    pairs(Code(2), |plugin, host, meta, body| {
        plugin.awaiting(host, meta, body)
    })
}

type NativeCall = fn(Arc<dyn NativePlugin>, Arc<dyn NativeHost>, SharedBytes, SharedBytes) -> Boxed;

fn pairs(op: Code, native: NativeCall) -> Vec<f64> {
    let plugin: Arc<dyn NativePlugin> = black_box(Arc::new(Plugin));
    let host: Arc<dyn NativeHost> = black_box(Arc::new(Port));
    let port = Arc::new(Port);
    let instance = black_box(Instance::<Port>::open(table::<Plugin>()));
    let body = SharedBytes::from(vec![7; 1024]);
    let run_native = || {
        time(|| {
            run(native(
                Arc::clone(&plugin),
                Arc::clone(&host),
                SharedBytes::new(),
                body.clone(),
            ))
        })
    };
    let run_plugin =
        || time(|| run(instance.call(op, 0, Arc::clone(&port), SharedBytes::new(), body.clone())));
    // The first pair warms up.
    (0..=PAIRS)
        .map(|_| run_plugin() / run_native())
        .skip(1)
        .collect()
}

fn time(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    began.elapsed().as_secs_f64()
}

fn run(future: impl Future<Output = Outcome>) {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(outcome) => drop(black_box(outcome)),
        Poll::Pending => unreachable!("these futures never wait"),
    }
}
