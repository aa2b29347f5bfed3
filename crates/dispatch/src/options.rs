//! What the dispatcher is started with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::{Clock, SystemClock};

use crate::Observer;

/// Takes secrets and personal data out of an error text before it is stored or logged.
pub type Redact = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// How the dispatcher runs.
#[derive(Clone)]
pub struct DispatchOptions {
    /// Threads of the dispatch runtime, which drives timers and sockets; at least [`Self::MIN_THREADS`]. Each
    /// handler has a thread of its own beside them.
    pub threads: usize,
    /// Retries of one handler that may wait in memory for a slot. What is due beyond that goes back to the journal, so
    /// that first tries find their way.
    pub max_in_memory: usize,
    /// Between two looks at how much there is to do, and at what operators did on other nodes.
    pub sample_every: Duration,
    /// The wall clock: the journal's own, since it decides by it what is due.
    pub clock: Arc<dyn Clock>,
    /// Applied to every entry of every error chain.
    pub redact: Redact,
    /// Is told what happens, for metrics.
    pub observer: Arc<dyn Observer>,
}

impl DispatchOptions {
    /// The fewest threads that the runtime has.
    pub const MIN_THREADS: usize = 4;
}

impl Default for DispatchOptions {
    /// Four threads, 256 waiting deliveries, the system clock, no redaction, nobody observes.
    fn default() -> Self {
        Self {
            threads: Self::MIN_THREADS,
            max_in_memory: 256,
            sample_every: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
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
