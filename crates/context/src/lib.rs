//! What the host lends a plugin call, and what comes back of it.
//!
//! In: a delivery or a request, and a plugin instance. Out: a [`Reply`], or a response.
//! Not here: when to call (see `dispatch`, `gateway`); the ABI itself (see `abi`).
#![forbid(unsafe_code)]

mod target;

pub use target::{HandlerTerms, Reply, Running, Target};
