//! Runs handlers: takes deliveries from the journal, calls targets, decides what becomes of each attempt.
//!
//! In: a [`Journal`](coordinator_journal::Journal), [`Target`](coordinator_context::Target)s. Out: settled deliveries, [`HandlerStatus`].
//! Promises: a slow, panicking or blocking handler costs the others nothing; no delivery is dropped silently.
//! Not here: what a handler is made of (see `context`), durable state (see `journal`), the order of keys (see `journal`).
#![forbid(unsafe_code)]

mod attempt;
mod bound;
mod breaker;
mod cadence;
mod call;
mod chain;
mod decide;
mod dispatcher;
mod feed;
mod guard;
mod handler;
mod leaving;
mod observe;
mod options;
mod phase;
mod pipeline;
mod rate;
mod roster;
mod sampling;
mod schedule;
mod settling;
mod slots;
mod threads;
mod waiting;
mod watch;

pub use cadence::{Cadence, CadenceError, Ticks};
pub use decide::{Answer, BACKOFF_FLOOR, Ended, decide, poisonous};
pub use dispatcher::{Dispatcher, DrainReport, StartError, UnknownHandler};
pub use handler::{HandlerState, HandlerStatus};
pub use leaving::Leaving;
pub use observe::{Attempted, BreakerState, Observer, Outcome};
pub use options::{DispatchOptions, Redact};
pub use pipeline::{Pipeline, PipelineTable};
pub use schedule::{Schedule, Ticker};
