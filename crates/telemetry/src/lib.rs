//! What the host says about itself: log lines and metrics.
//! In: `tracing` events and spans, calls of the functions in `metric`.
//! Out: one line per event on standard error, a Prometheus exposition. Personal data and secrets
//! are taken out here. Not here: the bridge for plugins' logs, the HTTP route for the metrics.

#![forbid(unsafe_code)]

pub mod field;
mod line;
mod log;
pub mod metric;
mod redact;

pub use log::{Guard, InitError, LogFormat, LogOptions, init, subscriber};
pub use redact::{Redactor, redact};
