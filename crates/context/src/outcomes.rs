//! What the host's own errors and answers are on the plugin's side of the boundary.

use std::time::SystemTime;

use coordinator_abi::call::{FailureMeta, ResponseMeta};
use coordinator_abi::code::outcome;
use coordinator_abi::{Code, Outcome};
use coordinator_egress::{EgressErrorKind, OutboundResponse};
use coordinator_journal::PublishError;

/// `Retry-After` in seconds, whichever form it came in: a plugin need not parse dates.
pub(crate) fn answered(response: OutboundResponse) -> Outcome {
    let after = response.retry_after(SystemTime::now());
    let headers = response
        .headers
        .into_iter()
        .map(|(name, value)| match after {
            Some(after) if name == "retry-after" => {
                (name, after.as_secs().to_string().into_bytes())
            }
            _ => (name, value.into_bytes()),
        });
    let head = ResponseMeta {
        status: response.status,
        headers: headers.collect(),
    };
    Outcome {
        code: outcome::OK,
        meta: head.encode(),
        body: response.body.into(),
    }
}

/// Pointless to publish again as it is.
pub(crate) fn rejected(error: &dyn std::error::Error) -> (Code, FailureMeta) {
    let chain = chain(error);
    (
        outcome::REJECTED,
        FailureMeta {
            after_ms: None,
            chain,
        },
    )
}

pub(crate) fn unpublished(error: &PublishError) -> (Code, FailureMeta) {
    let (code, after) = match error {
        PublishError::Full { retry_after, .. } => (outcome::FULL, retry_after),
        PublishError::Unavailable { retry_after, .. } => (outcome::UNAVAILABLE, retry_after),
    };
    let after_ms = u64::try_from(after.as_millis()).ok();
    (
        code,
        FailureMeta {
            after_ms,
            chain: chain(error),
        },
    )
}

pub(crate) fn egress_code(kind: EgressErrorKind) -> Code {
    match kind {
        EgressErrorKind::Invalid => outcome::REJECTED,
        EgressErrorKind::Forbidden => outcome::FORBIDDEN,
        EgressErrorKind::Open => outcome::OPEN,
        EgressErrorKind::Timeout => outcome::TIMEOUT,
        EgressErrorKind::Connect | EgressErrorKind::TooLarge | EgressErrorKind::Protocol => {
            outcome::UNAVAILABLE
        }
    }
}

/// Every message of an error's chain, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source.filter(|_| chain.len() < 16) {
        chain.push(cause.to_string());
        source = cause.source();
    }
    chain
}
