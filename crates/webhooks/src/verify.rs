//! The one door: `verify` a request under a scheme.

use std::time::Duration;

use coordinator_config::Secret;

use crate::{Scheme, standard_webhooks, stripe};

/// Signatures in one header that are looked at. Providers send one per secret while they rotate.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// What a verifier is told about the sender.
#[derive(Debug, Clone)]
pub struct SchemeConfig {
    /// Shared secrets; each is tried, so that a rotation needs no downtime.
    pub secrets: Vec<Secret>,
    /// How far the sender's time stamp may lie from now, in either direction.
    pub tolerance: Duration,
}

impl SchemeConfig {
    /// The tolerance that Stripe and Standard Webhooks recommend.
    pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

    /// The secrets with the default tolerance.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self {
            secrets,
            tolerance: Self::DEFAULT_TOLERANCE,
        }
    }
}

/// The parts of an inbound request that a signature covers.
#[derive(Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// Finds a header's first value by its lower-case name.
    pub headers: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body exactly as received: parsing and printing it again breaks signatures.
    pub body: &'a [u8],
    /// Now, in Unix seconds.
    pub now: i64,
}

/// The request was signed with one of the secrets, recently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The sender's own id of the event, the same at each redelivery. Absent if the sender gave
    /// none: take a hash of the body then.
    pub id: Option<String>,
    /// The scheme that was satisfied.
    pub scheme: Scheme,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is not there, or not text.
    #[error("the header `{header}` is missing")]
    MissingHeader {
        /// Lower-case name of the header.
        header: &'static str,
    },
    /// A header is not of the form that the scheme prescribes.
    #[error("the header `{header}` is malformed: {reason}")]
    MalformedHeader {
        /// Lower-case name of the header.
        header: &'static str,
        /// What was expected.
        reason: &'static str,
    },
    /// Signed too long ago: a late delivery or a replayed request.
    #[error("the time stamp is {age} s old, more than the tolerance of {} s", tolerance.as_secs())]
    TooOld {
        /// Age of the time stamp, seconds.
        age: u64,
        /// The tolerance that was applied.
        tolerance: Duration,
    },
    /// Signed in the future: one of the two clocks is wrong.
    #[error("the time stamp lies {ahead} s in the future, more than the tolerance of {} s", tolerance.as_secs())]
    InFuture {
        /// Distance of the time stamp from now, seconds.
        ahead: u64,
        /// The tolerance that was applied.
        tolerance: Duration,
    },
    /// The signatures were made with another secret or over another body.
    #[error(
        "no signature matches\n  (another secret, or something on the way here changed the body)"
    )]
    NoMatch,
    /// None of the configured secrets can be a key of this scheme.
    #[error("no usable secret for `{scheme}`\n  ({hint})")]
    NoUsableSecret {
        /// The scheme.
        scheme: Scheme,
        /// What a secret of the scheme looks like.
        hint: &'static str,
    },
}

impl VerifyError {
    /// A stable code for problem documents and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "signature-missing",
            Self::MalformedHeader { .. } => "signature-malformed",
            Self::TooOld { .. } => "signature-too-old",
            Self::InFuture { .. } => "signature-in-future",
            Self::NoMatch => "signature-mismatch",
            Self::NoUsableSecret { .. } => "signature-no-secret",
        }
    }

    /// Whether the mistake is on this side (configuration), not in the request.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::NoUsableSecret { .. })
    }
}

/// Checks the request's signature and time stamp.
///
/// # Errors
/// See [`VerifyError`]; nothing of the request may be trusted then.
pub fn verify(
    scheme: Scheme,
    config: &SchemeConfig,
    request: &VerifyRequest<'_>,
) -> Result<Verified, VerifyError> {
    let id = match scheme {
        Scheme::Stripe => stripe::verify(config, request),
        Scheme::StandardWebhooks => standard_webhooks::verify(config, request),
    }?;
    Ok(Verified { id, scheme })
}

impl<'a> VerifyRequest<'a> {
    /// A header that the scheme cannot do without.
    pub(crate) fn header(&self, header: &'static str) -> Result<&'a str, VerifyError> {
        (self.headers)(header).ok_or(VerifyError::MissingHeader { header })
    }

    /// Reads `text` as Unix seconds and holds it against the tolerance.
    pub(crate) fn check_time(
        &self,
        text: &str,
        header: &'static str,
        tolerance: Duration,
    ) -> Result<(), VerifyError> {
        // `i64::from_str` also takes a sign, which no provider sends.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let sent: i64 =
            digits
                .then(|| text.parse().ok())
                .flatten()
                .ok_or(VerifyError::MalformedHeader {
                    header,
                    reason: "expected a time stamp in Unix seconds",
                })?;
        let distance = self.now.abs_diff(sent);
        if distance <= tolerance.as_secs() {
            Ok(())
        } else if sent < self.now {
            Err(VerifyError::TooOld {
                age: distance,
                tolerance,
            })
        } else {
            Err(VerifyError::InFuture {
                ahead: distance,
                tolerance,
            })
        }
    }
}
