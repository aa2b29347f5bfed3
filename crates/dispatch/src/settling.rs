//! The settle front: verdicts of all handlers, written to the journal in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coordinator_journal::{Journal, Settle, SettleOutcome};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::phase::{Phase, reached};

/// Verdicts in one write, at most.
const MAX_BATCH: usize = 2048;
/// Verdicts that may wait for the writer. While so many do, attempts that ended keep their slots.
const MAX_WAITING: usize = 4096;
/// Between two tries of a write that failed, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A verdict, and its place among those of its handler, which comes free when it is written.
struct Queued {
    settle: Settle,
    _place: OwnedSemaphorePermit,
}

/// Where attempts leave their verdicts.
pub(crate) struct SettleFront {
    intake: mpsc::Sender<Queued>,
    unsettled: Arc<AtomicUsize>,
}

/// The task that writes them.
pub(crate) struct Settler {
    writing: JoinHandle<()>,
    unsettled: Arc<AtomicUsize>,
}

impl SettleFront {
    /// Leaves a verdict; waits while the front is full.
    pub(crate) async fn send(&self, settle: Settle, place: OwnedSemaphorePermit) {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        let queued = Queued {
            settle,
            _place: place,
        };
        if let Err(mpsc::error::SendError(late)) = self.intake.send(queued).await {
            let handler = &*late.settle.token.handler;
            debug!(
                handler.name = handler,
                "a verdict came after the end: `{handler}` gets that delivery again after the next start",
            );
        }
    }
}

impl Settler {
    /// Starts the writer. It ends by itself when all fronts are gone, or as `phases` says.
    pub(crate) fn start(
        runtime: &Handle,
        journal: Arc<dyn Journal>,
        phases: watch::Receiver<Phase>,
    ) -> (SettleFront, Self) {
        let (intake, verdicts) = mpsc::channel(MAX_WAITING);
        let unsettled = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            journal,
            verdicts,
            phases,
            queue: Vec::new(),
            batch: MAX_BATCH,
            unsettled: Arc::clone(&unsettled),
        };
        let writing = runtime.spawn(writer.run());
        (
            SettleFront {
                intake,
                unsettled: Arc::clone(&unsettled),
            },
            Self { writing, unsettled },
        )
    }

    /// Completes when the writer has ended.
    pub(crate) async fn ended(&mut self) {
        // An error means that it panicked, which is an end too; what is unsettled then says so.
        let _ = (&mut self.writing).await;
    }

    /// Verdicts that are not written.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.load(Ordering::Relaxed)
    }
}

struct Writer {
    journal: Arc<dyn Journal>,
    verdicts: mpsc::Receiver<Queued>,
    phases: watch::Receiver<Phase>,
    /// Taken in, not written yet. Never longer than [`MAX_BATCH`].
    queue: Vec<Queued>,
    /// Verdicts of the next write, at most.
    batch: usize,
    unsettled: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while self.fill().await {
            if self.write().await {
                pause = FIRST_PAUSE;
                continue;
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = reached(&mut self.phases, Phase::Ended) => return,
            }
        }
    }

    /// Takes in what is there, and waits if that is nothing. False when there is nothing and never will be.
    async fn fill(&mut self) -> bool {
        if self.queue.is_empty() {
            tokio::select! {
                received = self.verdicts.recv_many(&mut self.queue, MAX_BATCH) => return received > 0,
                () = reached(&mut self.phases, Phase::Closing) => self.verdicts.close(),
            }
            return self.verdicts.recv_many(&mut self.queue, MAX_BATCH).await > 0;
        }
        while self.queue.len() < MAX_BATCH
            && let Ok(queued) = self.verdicts.try_recv()
        {
            self.queue.push(queued);
        }
        true
    }

    /// Writes one batch; whether that worked. What failed is kept and goes to the back, and the next batch is half
    /// as large: should the engine refuse one verdict for ever, the others still get through beside it.
    async fn write(&mut self) -> bool {
        let size = self.batch.min(self.queue.len());
        let batch = self.queue[..size].iter().map(|one| one.settle.clone());
        match self.journal.settle(batch.collect()).await {
            Ok(outcomes) => {
                for (queued, outcome) in self.queue.drain(..size).zip(outcomes) {
                    report(&queued.settle, outcome);
                }
                self.unsettled.fetch_sub(size, Ordering::Relaxed);
                self.batch = (self.batch * 2).min(MAX_BATCH);
                true
            }
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    verdicts = self.unsettled.load(Ordering::Relaxed),
                    "verdicts wait: the journal cannot be written, tried again soon",
                );
                self.queue.rotate_left(size);
                self.batch = (size / 2).max(1);
                false
            }
        }
    }
}

fn report(settle: &Settle, outcome: SettleOutcome) {
    if outcome == SettleOutcome::Stale {
        debug!(
            handler.name = &*settle.token.handler,
            position = settle.token.position,
            "a verdict of `{}` settled nothing: that delivery was settled or handed out again meanwhile",
            settle.token.handler,
        );
    }
}
