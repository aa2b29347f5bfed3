//! The sender's side: what tests, `coordinator webhook sign` and the sandbox send.

use coordinator_config::Secret;

use crate::{Scheme, standard_webhooks, stripe};

/// The secret cannot be a key of the scheme.
#[derive(Debug, thiserror::Error)]
#[error("no usable secret for `{scheme}`\n  ({hint})")]
pub struct SignError {
    pub(crate) scheme: Scheme,
    pub(crate) hint: &'static str,
}

/// Signs `body` as a provider would at `now` (Unix seconds). Answers lower-case header names with
/// their values. Stripe carries the id in the body, so `id` is not used there.
///
/// # Errors
/// When the secret cannot be a key of the scheme.
pub fn sign(
    scheme: Scheme,
    secret: &Secret,
    id: &str,
    now: i64,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, SignError> {
    match scheme {
        Scheme::Stripe => stripe::sign(secret, now, body),
        Scheme::StandardWebhooks => standard_webhooks::sign(secret, id, now, body),
    }
}
