//! Asking the host for a service, and what it answers when it cannot.

use std::time::Duration;

use coordinator_abi::ask::{KeyMeta, KeyReply};
use coordinator_abi::call::FailureMeta;
use coordinator_abi::code::outcome;
use coordinator_abi::{Code, Lent, Outcome, SharedBytes};

/// Why a service of the host failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    reason: String,
    after: Option<Duration>,
}

impl Failure {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let failure = FailureMeta::of(outcome);
        Self {
            code: outcome.code,
            reason: failure.chain.join(": "),
            after: failure.after_ms.map(Duration::from_millis),
        }
    }

    /// What the plugin itself found wrong, before or after it asked.
    pub(crate) fn own(reason: impl Into<String>) -> Self {
        Self {
            code: outcome::REJECTED,
            reason: reason.into(),
            after: None,
        }
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.after
    }

    /// May the same thing succeed later?
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(
            self.code,
            outcome::UNAVAILABLE | outcome::TIMEOUT | outcome::FULL | outcome::OPEN
        )
    }

    /// Is the host older than the plugin?
    pub(crate) fn is_unsupported(&self) -> bool {
        self.code == outcome::UNSUPPORTED
    }
}

/// Asks, and waits for the answer.
pub(crate) async fn ask(
    lent: &Lent,
    what: Code,
    meta: SharedBytes,
    body: SharedBytes,
) -> Result<Outcome, Failure> {
    let answer = lent.ask(what, meta, body).await;
    if answer.is_ok() {
        Ok(answer)
    } else {
        Err(Failure::of(&answer))
    }
}

/// Asks for something that is done to a key.
pub(crate) async fn ask_key(
    lent: &Lent,
    what: Code,
    meta: KeyMeta,
    body: SharedBytes,
) -> Result<(KeyReply, SharedBytes), Failure> {
    let answer = ask(lent, what, meta.encode(), body).await?;
    let reply =
        KeyReply::decode(&answer.meta).map_err(|malformed| Failure::own(malformed.to_string()))?;
    Ok((reply, answer.body))
}

/// Whole milliseconds, never none at all.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
