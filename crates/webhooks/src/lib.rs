//! Decides whether an inbound webhook was sent by whom it says.
//! In: headers, the raw body, the time and the shared secrets.
//! Out: the sender's id of the event, or the reason for refusal; never the expected signature.
//! Not here: reading requests, resolving secrets, deduplication, fetching of keys.

#![forbid(unsafe_code)]

mod mac;
mod scheme;
mod sign;
mod standard_webhooks;
mod stripe;
mod verify;

pub use scheme::{Scheme, UnknownScheme};
pub use sign::{SignError, sign};
pub use verify::{SchemeConfig, Verified, VerifyError, VerifyRequest, verify};
