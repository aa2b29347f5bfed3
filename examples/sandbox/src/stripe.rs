//! Stripe: events shaped like the real ones, signed like the real ones, redelivered like the real ones.

mod event;
mod send;
mod signature;

pub use event::{Template, event};
pub use send::{Redeliver, Report, SendError, SendOrder, Sent, send};
pub use signature::sign;
