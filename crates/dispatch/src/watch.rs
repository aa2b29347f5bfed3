//! The watchdog: finds a handler that blocks its thread, which no timer on that thread could.
//!
//! All deliveries of one handler are polled on one thread that is its own, so it has at most one poll at a time, and
//! blocking it costs that thread and nothing else, whatever its concurrency. While the poll lasts nothing of the
//! handler can run: it is paused by construction. What is left to do is to see it and to say so.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use coordinator_message::MessageId;
use tracing::error;

use crate::Observer;
use crate::handler::Handler;
use crate::roster::Roster;

/// The poll of one handler that is going on, if one is.
#[derive(Default)]
pub(crate) struct PollWatch {
    poll: Mutex<Option<Poll>>,
    /// Nanoseconds that polls held the thread beyond the timeout, in all.
    lost: AtomicU64,
}

struct Poll {
    message: MessageId,
    attempt: u32,
    since: Instant,
    /// The watchdog has reported it.
    stuck: bool,
}

/// A poll that is over.
pub(crate) struct Left {
    /// How long it held its thread.
    pub(crate) held: Duration,
    /// The watchdog had reported it.
    pub(crate) stuck: bool,
}

impl PollWatch {
    pub(crate) fn enter(&self, message: MessageId, attempt: u32) {
        *self.poll() = Some(Poll {
            message,
            attempt,
            since: Instant::now(),
            stuck: false,
        });
    }

    /// Ends the poll. One that held the thread beyond `timeout` is remembered in [`Self::lost`].
    pub(crate) fn leave(&self, timeout: Duration) -> Left {
        let poll = self.poll().take();
        let left = poll.map_or(
            Left {
                held: Duration::ZERO,
                stuck: false,
            },
            |poll| Left {
                held: poll.since.elapsed(),
                stuck: poll.stuck,
            },
        );
        if left.held > timeout {
            let nanos = u64::try_from(left.held.as_nanos()).unwrap_or(u64::MAX);
            self.lost.fetch_add(nanos, Ordering::Relaxed);
        }
        left
    }

    /// How long the handler's deliveries could not run because one of them blocked the thread, in all.
    pub(crate) fn lost(&self) -> Duration {
        Duration::from_nanos(self.lost.load(Ordering::Relaxed))
    }

    /// The message whose delivery blocks the thread, once the watchdog has seen it.
    pub(crate) fn stuck_on(&self) -> Option<MessageId> {
        self.poll()
            .as_ref()
            .filter(|poll| poll.stuck)
            .map(|poll| poll.message)
    }

    fn poll(&self) -> MutexGuard<'_, Option<Poll>> {
        // Every write is one assignment, so a poisoned slot is a whole one.
        self.poll.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that watches. It ends when this is dropped.
pub(crate) struct Watchdog {
    _stop: mpsc::Sender<()>,
}

/// How often to look, at most and at least.
const FASTEST: Duration = Duration::from_millis(5);
const SLOWEST: Duration = Duration::from_millis(100);

impl Watchdog {
    pub(crate) fn start(roster: Arc<Roster>, observer: Arc<dyn Observer>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new()
            .name("dispatch-watchdog".to_owned())
            .spawn(move || {
                let mut pace = FASTEST;
                while stopped.recv_timeout(pace) == Err(mpsc::RecvTimeoutError::Timeout) {
                    let mut shortest = SLOWEST;
                    for handler in &*roster.all() {
                        let timeout = handler.bound().terms.timeout;
                        shortest = shortest.min(timeout / 4);
                        look(handler, timeout, &*observer);
                    }
                    pace = shortest.clamp(FASTEST, SLOWEST);
                }
            })?;
        Ok(Self { _stop: stop })
    }
}

/// Reports a poll that outlived the timeout, once.
fn look(handler: &Handler, timeout: Duration, observer: &dyn Observer) {
    let mut slot = handler.watch.poll();
    let Some(poll) = slot.as_mut() else {
        return;
    };
    let held = poll.since.elapsed();
    if held > timeout && !poll.stuck {
        poll.stuck = true;
        // Said with the slot held, so that "stuck" is never told after "no longer stuck".
        let (message, attempt) = (poll.message, poll.attempt);
        error!(
            handler.name = handler.id(),
            cloudevents.event_id = %message,
            attempt,
            held_ms = held.as_millis(),
            "handler `{}` blocks its thread with `{message}` beyond its timeout: paused until the thread comes back",
            handler.id(),
        );
        observer.stuck(handler.id(), true);
    }
}
