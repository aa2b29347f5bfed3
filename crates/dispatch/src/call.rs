//! One call of a target, held at arm's length: every entry into its code is watched, and no panic gets out.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use coordinator_context::{Reply, Running, Target};
use coordinator_journal::Delivery;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::bound::Bound;
use crate::handler::Handler;
use crate::watch::Left;
use crate::{Answer, Observer};

/// Calls the handler with `delivery` and waits for its answer, for as long as its timeout says.
pub(crate) async fn call(
    handler: &Handler,
    bound: &Bound,
    delivery: &Delivery,
    observer: &Arc<dyn Observer>,
) -> Answer {
    let timeout = bound.terms.timeout;
    let mut call = Call {
        handler,
        bound,
        delivery,
        observer,
        running: None,
    };
    let mut timer = pin!(sleep(timeout));
    let lost_before = handler.watch.lost();
    let mut excused = Duration::ZERO;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = call.poll(cx) {
            return Poll::Ready(answer);
        }
        while timer.as_mut().poll(cx).is_ready() {
            // While another delivery blocked the handler's thread this one could not run: that time is not its own.
            let lost = handler.watch.lost().saturating_sub(lost_before);
            if lost <= excused {
                let chain = vec![format!("no answer within the timeout of {timeout:?}")];
                return Poll::Ready(Answer::TimedOut { chain });
            }
            timer.as_mut().reset(Instant::now() + (lost - excused));
            excused = lost;
        }
        Poll::Pending
    })
    .await
}

struct Call<'a> {
    handler: &'a Handler,
    bound: &'a Bound,
    delivery: &'a Delivery,
    observer: &'a Arc<dyn Observer>,
    running: Option<Running>,
}

impl Call<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let (polled, left) = self.enter(|target, delivery, running| {
            let future = running.get_or_insert_with(|| target.deliver(delivery));
            let polled = future.as_mut().poll(cx);
            if polled.is_ready() {
                *running = None;
            }
            polled
        });
        let blocked = left.held > self.bound.terms.timeout;
        match polled {
            Ok(Poll::Ready(reply)) if blocked => Poll::Ready(late(reply, left.held)),
            Ok(Poll::Ready(reply)) => Poll::Ready(Answer::Replied(reply)),
            Ok(Poll::Pending) if blocked => Poll::Ready(Answer::TimedOut {
                chain: vec![blocked_for(left.held)],
            }),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => {
                let chain = vec![format!("panicked: {}", panic_text(&*panic))];
                Poll::Ready(Answer::Replied(Reply::Panicked { chain }))
            }
        }
    }

    /// Runs code of the target: watched, and with its panic caught.
    fn enter<T>(
        &mut self,
        code: impl FnOnce(&dyn Target, &Delivery, &mut Option<Running>) -> T,
    ) -> (Result<T, Box<dyn Any + Send>>, Left) {
        let Self {
            handler,
            bound,
            delivery,
            running,
            ..
        } = self;
        handler.watch.enter(delivery.message.id, delivery.attempt);
        let result = catch_unwind(AssertUnwindSafe(|| code(&*bound.target, delivery, running)));
        let left = handler.watch.leave(bound.terms.timeout);
        if left.stuck {
            info!(
                handler.name = handler.id(),
                cloudevents.event_id = %delivery.message.id,
                held_ms = left.held.as_millis(),
                "handler `{}` gave its thread back and goes on",
                handler.id(),
            );
            self.observer.stuck(handler.id(), false);
        }
        (result, left)
    }
}

impl Drop for Call<'_> {
    /// Cancelling runs the target's code too.
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = self.enter(|_, _, running| *running = None);
        }
    }
}

/// What an answer is worth that came after the timeout, from a poll that blocked its thread.
///
/// The attempt has timed out, as one that waits would have: an ack that comes too late is another attempt, under the
/// same idempotency keys, and a message that always blocks ends as a dead letter. What gives the message up stands:
/// a refusal does not get better, and a panic must count as one.
fn late(reply: Reply, held: Duration) -> Answer {
    match reply {
        Reply::Ack { .. } => Answer::TimedOut {
            chain: vec![blocked_for(held)],
        },
        Reply::Retry { chain, .. } | Reply::Deferred { chain, .. } => Answer::TimedOut {
            chain: std::iter::once(blocked_for(held)).chain(chain).collect(),
        },
        decided @ (Reply::Dead { .. } | Reply::Panicked { .. }) => Answer::Replied(decided),
    }
}

fn blocked_for(held: Duration) -> String {
    format!(
        "blocked its thread for {} ms, beyond the timeout",
        held.as_millis()
    )
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the panic carries no text")
}
