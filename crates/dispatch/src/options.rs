//! What the dispatcher is started with.

use std::fmt;
use std::sync::Arc;

use coordinator_message::Timestamp;

use crate::Observer;

/// Tells the wall-clock time that due times and failures are written in.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Takes secrets and personal data out of an error text before it is stored or logged.
pub type Redact = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// How the dispatcher runs.
#[derive(Clone)]
pub struct DispatchOptions {
    /// Threads of the dispatch runtime. Raised to [`Self::MIN_THREADS`], and to one more than there are handlers
    /// (up to [`Self::MAX_RAISED_THREADS`]): a handler can block one thread at most, so one is always left.
    pub threads: usize,
    /// Deliveries of one handler that may wait in memory for a slot. While that many wait, no more are taken.
    pub max_in_memory: usize,
    /// The wall clock.
    pub clock: Clock,
    /// Applied to every entry of every error chain.
    pub redact: Redact,
    /// Is told what happens, for metrics.
    pub observer: Arc<dyn Observer>,
}

impl DispatchOptions {
    /// The fewest threads that the runtime has.
    pub const MIN_THREADS: usize = 4;
    /// The number of handlers raises the number of threads up to here.
    pub const MAX_RAISED_THREADS: usize = 64;

    /// Threads of the runtime for this many handlers.
    pub(crate) fn threads_for(&self, handlers: usize) -> usize {
        let spare = (handlers + 1).min(Self::MAX_RAISED_THREADS);
        self.threads.max(Self::MIN_THREADS).max(spare)
    }
}

impl Default for DispatchOptions {
    /// Four threads, 256 waiting deliveries, the system clock, no redaction, nobody observes.
    fn default() -> Self {
        Self {
            threads: Self::MIN_THREADS,
            max_in_memory: 256,
            clock: Arc::new(Timestamp::now),
            redact: Arc::new(str::to_owned),
            observer: Arc::new(()),
        }
    }
}

impl fmt::Debug for DispatchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchOptions")
            .field("threads", &self.threads)
            .field("max_in_memory", &self.max_in_memory)
            .finish_non_exhaustive()
    }
}
