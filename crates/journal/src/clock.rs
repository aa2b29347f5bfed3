//! The clock of an engine, injected so that tests decide what time it is.

use std::fmt::Debug;

use async_trait::async_trait;
use coordinator_message::Timestamp;
use tokio::sync::watch;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Returns once [`Clock::now`] is `at` or later.
    async fn sleep_until(&self, at: Timestamp);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A clock that stands still until it is told to go on. For tests.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

// === impl SystemClock ===

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        // The timer runs on monotonic time; the loop covers a system clock that was set back meanwhile.
        while self.now() < at {
            tokio::time::sleep(at.since(self.now())).await;
        }
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that says `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(now),
        }
    }

    /// Moves it on and wakes who waits for the new time.
    pub fn advance(&self, by: std::time::Duration) {
        self.now.send_modify(|now| *now = now.after(by));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let mut now = self.now.subscribe();
        // It fails only when the clock is gone, which `&self` rules out.
        let _ = now.wait_for(|now| *now >= at).await;
    }
}
