//! The stand-in outside world: plays the LMS and Stripe on one port, for demos and tests.
//! In: enrolment calls as an LMS gets them; orders to send events or to misbehave, under `/_control`.
//! Out: answers like the LMS's, signed events like Stripe's, and a ledger of everything that arrived.
//! Not here: any code shared with the host; what both sides compute, they compute apart.
#![forbid(unsafe_code)]

mod behaviour;
mod control;
mod ledger;
mod lms;
mod server;
pub mod stripe;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use behaviour::{Answer, Match, Rule, RuleError};
pub use ledger::{Asked, Counts, Entry, Outcome, Page};
pub use lms::Credential;
pub use server::StartError;

use behaviour::Behaviour;
use ledger::Ledger;

/// How a sandbox starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What the LMS asks of its callers.
    pub credential: Credential,
}

impl Default for Options {
    /// A free port of the loopback interface, and the bearer token `sandbox-lms-token`.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            credential: Credential::Bearer("sandbox-lms-token".to_owned()),
        }
    }
}

/// What the HTTP threads and the handle share.
struct Outside {
    credential: Credential,
    behaviour: Behaviour,
    ledger: Ledger,
    events_sent: AtomicU64,
}

impl Outside {
    /// Reserves `count` event numbers and returns the first.
    fn number_events(&self, count: u64) -> u64 {
        self.events_sent.fetch_add(count, Ordering::Relaxed) + 1
    }
}

/// A running sandbox. Dropping it closes its port and every connection.
pub struct Sandbox {
    outside: Arc<Outside>,
    server: server::Server,
}

impl Sandbox {
    /// Starts on its own threads; usable with or without an async runtime.
    ///
    /// # Errors
    /// The address cannot be listened on, or the threads cannot be started.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let outside = Arc::new(Outside {
            credential: options.credential,
            behaviour: Behaviour::default(),
            ledger: Ledger::default(),
            events_sent: AtomicU64::new(0),
        });
        let server = server::Server::start(options.listen, Arc::clone(&outside))?;
        Ok(Self { outside, server })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The base URL, without a trailing slash: the LMS's `base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Replaces all rules of misbehaviour; an empty list makes everything work again.
    ///
    /// # Errors
    /// A rule contradicts itself or exceeds a bound; the old rules then stay.
    pub fn behave(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        self.outside.behaviour.replace(rules)
    }

    /// The ledger's totals.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.outside.ledger.counts()
    }

    /// All ledger entries still held, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.outside.ledger.page(0, usize::MAX).entries
    }

    /// The enrolments made, as sorted `(user, course)` pairs.
    #[must_use]
    pub fn enrolments(&self) -> Vec<(String, String)> {
        self.outside.ledger.enrolments()
    }

    /// Forgets every entry, count and enrolment.
    pub fn clear(&self) {
        self.outside.ledger.clear();
    }

    /// Sends signed events as Stripe would, numbering them on from those it sent before.
    ///
    /// # Errors
    /// The order itself is impossible. An event that is refused or not answered is no error: the report tells.
    pub async fn send(
        &self,
        order: &stripe::SendOrder,
    ) -> Result<stripe::Report, stripe::SendError> {
        let first = self.outside.number_events(order.count.into());
        stripe::send(order, first).await
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
