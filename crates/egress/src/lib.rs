//! Outbound HTTP, lent to plugins.
//! In: a request, and the policy of the plugin that makes it.
//! Out: the answer, within limits of time and size, or a typed error without secrets in it.
//! A system that fails again and again is left alone for a while; that is an error of its own kind.
//! Not here: retries, idempotency keys, and who may call whom (the policy's maker knows).

#![forbid(unsafe_code)]

mod address;
mod breaker;
mod exchange;
mod headers;
mod policy;
mod rests;
mod send;

pub use breaker::BreakerOptions;
pub use exchange::{OutboundRequest, OutboundResponse};
pub use policy::{HostPolicy, PolicyError};
pub use send::{BuildError, Egress, EgressError, EgressErrorKind, EgressOptions};
