//! Feeds one handler: takes deliveries as slots come free, and runs them until the dispatcher drains.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::{Deliveries, Delivery, HandlerSpec, Journal, JournalError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::handler::Handler;
use crate::phase::{Phase, reached};
use crate::slots::Slots;

/// Between two tries at a journal that fails, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was left of a handler when its feed ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fed {
    /// Attempts that ended during the drain.
    pub(crate) finished: usize,
    /// Attempts that were dropped.
    pub(crate) cancelled: usize,
}

/// A handler as the journal opened it.
pub(crate) struct Opened {
    spec: Arc<HandlerSpec>,
    deliveries: Box<dyn Deliveries>,
    opener: Opener,
}

/// Opens handlers in the journal.
#[derive(Clone)]
pub(crate) struct Opener {
    pub(crate) journal: Arc<dyn Journal>,
    /// What the journal spawns when it opens a handler belongs to the host's runtime, apart from those that handlers
    /// run on.
    pub(crate) home: Handle,
}

impl Opener {
    pub(crate) async fn open(&self, spec: Arc<HandlerSpec>) -> Result<Opened, JournalError> {
        let (journal, wanted) = (Arc::clone(&self.journal), HandlerSpec::clone(&spec));
        let opening = self.home.spawn(async move { journal.open(wanted).await });
        let deliveries = opening.await.unwrap_or_else(|error| {
            Err(JournalError {
                action: "open a handler",
                source: Box::new(error),
            })
        })?;
        Ok(Opened {
            spec,
            deliveries,
            opener: self.clone(),
        })
    }
}

/// Feeds one handler until it is drained or the journal is closed.
pub(crate) async fn feed(
    handler: &Handler,
    mut opened: Opened,
    mut slots: Slots,
    mut phases: watch::Receiver<Phase>,
) -> Fed {
    let mut draining = phases.clone();
    let mut draining = pin!(reached(&mut draining, Phase::Draining));
    'serving: loop {
        // Of another binding it may still say the same.
        let spec = handler.spec();
        if !Arc::ptr_eq(&spec, &opened.spec) && spec != opened.spec {
            tokio::select! {
                biased;
                () = &mut draining => break 'serving,
                () = reopen(handler, &mut opened, &mut slots) => {}
            }
        }
        slots.start();
        let room = slots.room();
        let mut taken = pin!(take(handler.id(), &mut *opened.deliveries, room));
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

/// Goes on under another specification: other types, lanes or order. What runs is finished under the old one, and its
/// verdicts are written: an engine that opens a handler anew takes none for what it had handed out before.
async fn reopen(handler: &Handler, opened: &mut Opened, slots: &mut Slots) {
    slots.forget_waiting();
    while slots.running() > 0 {
        slots.progress().await;
    }
    handler.settled().await;
    let mut pause = FIRST_PAUSE;
    loop {
        match opened.opener.open(handler.spec()).await {
            Ok(anew) => {
                handler.is_opened(anew.spec.clone());
                *opened = anew;
                return;
            }
            Err(error) => warn!(
                handler.name = handler.id(),
                error = &error as &dyn std::error::Error,
                "`{}` waits: the journal does not take its new bindings, asked again in {pause:?}",
                handler.id(),
            ),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
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
    let mut pause = FIRST_PAUSE;
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
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
