//! What every engine promises. An engine's test file implements [`Harness`] and names it in `conformance!`.

pub(crate) mod deaths;
pub(crate) mod delay;
pub(crate) mod deliver;
pub(crate) mod discard;
pub(crate) mod failures;
pub(crate) mod follow;
pub(crate) mod give_up;
pub(crate) mod leave;
mod list;
pub(crate) mod look;
pub(crate) mod model;
pub(crate) mod operate;
pub(crate) mod order;
pub(crate) mod order_kept;
pub(crate) mod publish;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod retain;
pub(crate) mod retain_size;
pub(crate) mod roles;
pub(crate) mod schedule;
mod steps;
pub(crate) mod transfer;
pub(crate) mod transfer_kept;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coordinator_journal::{
    Clock as _, Deliveries, Delivery, FailureKind, Journal, Limits, ManualClock, Replay, Replayed,
    Settle, SettleOutcome, Verdict,
};
use coordinator_message::{MessageId, Timestamp};

pub(crate) use self::steps::*;

/// Gives a test an engine with a storage of its own and a clock that the test moves.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// Opens the journal. Again on the same storage, once the one before was closed or has crashed; also beside it, if
    /// [`Harness::nodes`] says so.
    async fn open(&self, limits: Limits) -> Box<dyn Journal>;
    /// The clock of every journal that it opens.
    fn clock(&self) -> &Arc<ManualClock>;
    /// What that clock says.
    fn clock_now(&self) -> Timestamp {
        self.clock().now()
    }
    /// Ends a journal without closing it: its storage is left as `kill -9` would leave it now, and free to be opened.
    /// The streams of that journal are dropped before.
    async fn crash(&self, journal: Box<dyn Journal>);
    /// An empty storage of the same engine, with the same clock.
    async fn another(&self) -> Box<dyn Harness>;
    /// How many journals may be open on the storage at once.
    fn nodes(&self) -> usize {
        1
    }
    /// Makes every write fail, from the next on.
    async fn break_writes(&self);
    /// Ends that.
    async fn mend_writes(&self);
}

/// How a journal ends before it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Crash,
}

impl Ending {
    /// Both, for tests that hold after either.
    pub(crate) const BOTH: [Self; 2] = [Self::Close, Self::Crash];
}

/// Ends the journal and opens it again. Its streams were dropped.
pub(crate) async fn again(
    harness: &dyn Harness,
    journal: Box<dyn Journal>,
    ending: Ending,
) -> Box<dyn Journal> {
    match ending {
        Ending::Close => journal.close().await,
        Ending::Crash => harness.crash(journal).await,
    }
    harness.open(roomy()).await
}
