//! Feeds one handler: takes deliveries as slots come free, and runs them until the dispatcher drains.

use std::pin::pin;
use std::time::Duration;

use coordinator_journal::{Deliveries, Delivery};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::handler::Handler;
use crate::phase::{Phase, reached};
use crate::slots::Slots;

/// What was left of a handler when its feed ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fed {
    /// Attempts that ended during the drain.
    pub(crate) finished: usize,
    /// Attempts that were dropped.
    pub(crate) cancelled: usize,
}

/// Feeds one handler until the dispatcher drains or the journal is closed.
pub(crate) async fn feed(
    handler: &Handler,
    mut deliveries: Box<dyn Deliveries>,
    mut slots: Slots,
    mut phases: watch::Receiver<Phase>,
) -> Fed {
    let mut draining = phases.clone();
    let mut draining = pin!(reached(&mut draining, Phase::Draining));
    'serving: loop {
        slots.start();
        let room = slots.room();
        let mut taken = pin!(take(handler.id(), &mut *deliveries, room));
        // The journal is asked once and waited for: slots that come free meanwhile must not cancel its reading.
        loop {
            tokio::select! {
                biased;
                () = &mut draining => break 'serving,
                () = handler.changed.notified() => break,
                deliveries = &mut taken => {
                    if deliveries.is_empty() {
                        break 'serving;
                    }
                    slots.take(deliveries);
                    break;
                }
                () = slots.progress() => if room == 0 { break },
            }
        }
    }
    slots.forget_waiting();
    finish(slots, &mut phases).await
}

/// Runs what is in flight to its end, or until it is to be cancelled.
async fn finish(mut slots: Slots, phases: &mut watch::Receiver<Phase>) -> Fed {
    let begun = slots.running();
    let mut cancelling = pin!(reached(phases, Phase::Cancelling));
    while slots.running() > 0 {
        tokio::select! {
            biased;
            () = &mut cancelling => break,
            () = slots.progress() => {}
        }
    }
    let cancelled = slots.running();
    Fed {
        finished: begun - cancelled,
        cancelled,
    }
}

/// The next deliveries, at most `room`; never, if there is no room. An engine that cannot be read is asked again.
async fn take(handler: &str, deliveries: &mut dyn Deliveries, room: usize) -> Vec<Delivery> {
    if room == 0 {
        return std::future::pending().await;
    }
    let mut pause = Duration::from_millis(100);
    loop {
        match deliveries.next(room).await {
            Ok(taken) => return taken,
            Err(error) => {
                warn!(
                    handler.name = handler,
                    error = &error as &dyn std::error::Error,
                    "no deliveries for `{handler}`: the journal cannot be read, asked again in {pause:?}",
                );
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}
