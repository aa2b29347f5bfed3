//! What a message is: its envelope, its ids, its trace and its money. No IO.
//!
//! In: values and text from any room. Out: checked types that every room agrees on.
//! Not here: schemas (see `wiring`), storage (see `journal`), and the wire forms of HTTP (see `gateway`).
#![forbid(unsafe_code)]

pub mod envelope;
pub mod id;
pub mod money;
#[cfg(feature = "schema")]
mod schema;
pub mod timestamp;
pub mod trace;
pub mod r#type;

pub use envelope::Envelope;
pub use id::MessageId;
pub use money::Money;
pub use timestamp::Timestamp;
pub use trace::TraceParent;
pub use r#type::{MessageType, ParseTypeError};
