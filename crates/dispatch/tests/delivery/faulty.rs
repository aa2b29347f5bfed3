//! A fault injector around a real journal: settling fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use coordinator_journal::{
    Absence, Control, DeadLetter, DeadLetterQuery, Deliveries, Discard, HandlerSpec, Journal,
    JournalError, MessageDetail, MessageQuery, MessageRecord, NewMessage, Page, PublishError,
    Receipt, Record, Replay, Replayed, Settle, SettleOutcome, Stats, Tick,
};
use coordinator_message::{MessageId, Timestamp};

/// A journal whose `settle` fails on demand, and which another node may pause. All else is the real one's.
pub(crate) struct Faulty {
    real: Arc<dyn Journal>,
    /// Every settle fails.
    pub(crate) down: AtomicBool,
    /// A batch that settles this log position fails; 0 is none.
    pub(crate) refused: AtomicU64,
    /// What another node paused.
    pub(crate) paused: AtomicBool,
    /// Settles that failed.
    pub(crate) failures: AtomicUsize,
}

impl Faulty {
    pub(crate) fn around(real: &Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self {
            real: Arc::clone(real),
            down: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Journal for Faulty {
    async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<SettleOutcome>, JournalError> {
        let refused = self.refused.load(Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst)
            || batch.iter().any(|settle| settle.token.position == refused)
        {
            self.failures.fetch_add(1, Ordering::SeqCst);
            return Err(JournalError {
                action: "settle",
                source: "the disk is on fire".into(),
            });
        }
        self.real.settle(batch).await
    }

    async fn publish(&self, batch: Vec<NewMessage>) -> Result<Vec<Receipt>, PublishError> {
        self.real.publish(batch).await
    }

    async fn open(&self, handler: HandlerSpec) -> Result<Box<dyn Deliveries>, JournalError> {
        self.real.open(handler).await
    }

    async fn leave(&self, handler: &str, absence: Absence) -> Result<(), JournalError> {
        self.real.leave(handler, absence).await
    }

    async fn replay(&self, batch: Vec<Replay>) -> Result<Vec<Replayed>, JournalError> {
        self.real.replay(batch).await
    }

    async fn discard(&self, batch: Vec<Discard>) -> Result<Vec<u64>, JournalError> {
        self.real.discard(batch).await
    }

    async fn control(&self, handler: &str, control: Control) -> Result<Option<u64>, JournalError> {
        self.real.control(handler, control).await
    }

    async fn lead(
        &self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, JournalError> {
        self.real.lead(role, holder, ttl).await
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), JournalError> {
        self.real.resign(role, holder).await
    }

    async fn last_tick(&self, schedule: &str) -> Result<Option<Timestamp>, JournalError> {
        self.real.last_tick(schedule).await
    }

    async fn tick(&self, tick: Tick) -> Result<bool, JournalError> {
        self.real.tick(tick).await
    }

    async fn export(&self, cursor: Option<String>) -> Result<Page<Record>, JournalError> {
        self.real.export(cursor).await
    }

    async fn import(&self, batch: Vec<Record>) -> Result<(), JournalError> {
        self.real.import(batch).await
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<MessageRecord>, JournalError> {
        self.real.messages(query).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, JournalError> {
        self.real.message(id).await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter>, JournalError> {
        self.real.dead_letters(query).await
    }

    async fn stats(&self) -> Result<Stats, JournalError> {
        let mut stats = self.real.stats().await?;
        for handler in &mut stats.handlers {
            handler.paused |= self.paused.load(Ordering::SeqCst);
        }
        Ok(stats)
    }

    async fn maintain(&self) -> Result<(), JournalError> {
        self.real.maintain().await
    }

    async fn probe(&self) -> Result<(), JournalError> {
        self.real.probe().await
    }

    async fn close(&self) {
        self.real.close().await;
    }
}
