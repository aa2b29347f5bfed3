//! What a plugin under test answered.

use std::time::Duration;

use coordinator_abi::Outcome;
use coordinator_abi::call::{FailureMeta, RouteFailure};
use coordinator_abi::code::outcome;

/// What a route answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body; of a refusal, its sentence.
    pub body: Vec<u8>,
    /// Of a refusal: its stable code.
    pub code: Option<String>,
}

/// A handler, a schedule, a command or another call failed.
#[derive(Debug)]
pub struct Failed {
    pub(super) retry: bool,
    pub(super) after: Option<Duration>,
    pub(super) chain: Vec<String>,
}

impl Failed {
    pub(super) fn of(answer: &Outcome) -> Self {
        let failure = FailureMeta::of(answer);
        Self {
            retry: answer.code != outcome::DEAD,
            after: failure.after_ms.map(Duration::from_millis),
            chain: failure.chain,
        }
    }

    /// Would the host try again?
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.retry
    }

    /// Not before.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The error, then its causes. What an operator reads.
    #[must_use]
    pub fn chain(&self) -> &[String] {
        &self.chain
    }
}

/// What a command told the operator who ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Told {
    /// As text.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a command's text is UTF-8")
    }

    /// `text/plain; charset=utf-8` or `application/json`.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }
}

/// A step refused or failed: what the caller of its pipeline reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailed {
    /// HTTP status that fits it.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// Sentence for the caller.
    pub detail: String,
    /// For the log: the error, then its causes.
    pub chain: Vec<String>,
}

impl StepFailed {
    pub(super) fn of(answer: &Outcome) -> Self {
        let failure: RouteFailure = serde_json::from_slice(&answer.meta).unwrap_or_default();
        Self {
            status: if failure.status == 0 {
                500
            } else {
                failure.status
            },
            code: failure.code,
            detail: failure.detail,
            chain: failure.chain,
        }
    }
}
