//! The threads: a runtime for timers and sockets, and one thread per handler on which its code is polled.
//!
//! Code of handlers never runs on a thread of the runtime. There a poll that blocks takes more with it than its
//! thread: a task that it woke just before sits in that worker's LIFO slot, which no other worker may steal from, and
//! timers stand still if that worker was the last to drive them (<https://github.com/tokio-rs/tokio/issues/4730>).
//! With handlers on ten workers, eight that blocked kept another from being polled at all, whatever was free.
//! The price: polls of one handler never overlap, so its concurrency is of waiting, not of computing.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_util::FutureExt;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::feed::{Fed, Opened, feed};
use crate::handler::Handler;
use crate::phase::Phase;
use crate::slots::Slots;

/// The dispatch runtime. It lives as long as a thread that uses it.
pub(crate) struct Reactor {
    runtime: Option<Runtime>,
}

impl Reactor {
    pub(crate) fn start(threads: usize) -> io::Result<Arc<Self>> {
        let number = AtomicUsize::new(0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name_fn(move || format!("dispatch-{}", number.fetch_add(1, Ordering::Relaxed)))
            .enable_all()
            .build()?;
        Ok(Arc::new(Self {
            runtime: Some(runtime),
        }))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.runtime
            .as_ref()
            .expect("it is taken in drop only")
            .handle()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last user may be a task of the host's runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}

/// A handler that is being fed.
pub(crate) struct Feed {
    pub(crate) handler: Arc<Handler>,
    /// How far it is to go; without it, it ends at once.
    pub(crate) phase: watch::Sender<Phase>,
    /// Completes when its thread is done.
    pub(crate) ending: oneshot::Receiver<Fed>,
}

/// Feeds a handler on a thread of its own.
pub(crate) fn start_feed(
    reactor: &Arc<Reactor>,
    handler: Arc<Handler>,
    opened: Opened,
    slots: Slots,
) -> io::Result<Feed> {
    let (done, ending) = oneshot::channel();
    let (phase, phases) = watch::channel(Phase::Serving);
    let (reactor, fed) = (Arc::clone(reactor), Arc::clone(&handler));
    thread::Builder::new()
        .name(handler.id().replace('\0', ""))
        .spawn(move || {
            let feeding = AssertUnwindSafe(feed(&fed, opened, slots, phases)).catch_unwind();
            let end = reactor.handle().block_on(feeding).unwrap_or_else(|_| {
                // Targets cannot cause this. Should the journal or an observer, it is not silent.
                error!(
                    handler.name = fed.id(),
                    "handler `{}` gets no more deliveries: its feed panicked",
                    fed.id()
                );
                Fed::default()
            });
            // Nobody waits if the dispatcher was dropped.
            let _ = done.send(end);
        })?;
    Ok(Feed {
        handler,
        phase,
        ending,
    })
}
