//! The seam between dispatch and plugins: something that a message can be delivered to.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::{Delivery, HandlerSpec, NewMessage};
use coordinator_wiring::HandlerTerms;

/// A delivery in progress. Dropping it cancels it.
pub type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A handler that messages can be delivered to.
pub trait Target: Send + Sync + 'static {
    /// Its id, and the types it takes.
    fn spec(&self) -> HandlerSpec;

    /// The terms it is run under.
    fn terms(&self) -> HandlerTerms;

    /// Runs the handler. Polled on the dispatch runtime; panics of the handler come back as [`Reply::Panicked`].
    fn deliver(&self, delivery: &Delivery) -> Running;
}

/// What a handler answered.
#[derive(Debug)]
pub enum Reply {
    /// Done, and what it published meanwhile.
    Ack {
        /// Stored with the ack.
        emits: Vec<NewMessage>,
    },
    /// Try again.
    Retry {
        /// The other side said when (`Retry-After`).
        after: Option<Duration>,
        /// The error, then its causes.
        chain: Vec<String>,
    },
    /// Pointless to try again.
    Dead {
        /// The error, then its causes.
        chain: Vec<String>,
    },
    /// It panicked; the first entry says what and where.
    Panicked {
        /// The panic.
        chain: Vec<String>,
    },
}

impl<T: Target + ?Sized> Target for Arc<T> {
    fn spec(&self) -> HandlerSpec {
        (**self).spec()
    }

    fn terms(&self) -> HandlerTerms {
        (**self).terms()
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        (**self).deliver(delivery)
    }
}
