//! What is bound to what: manifests and the operator's configuration become one checked graph.
//!
//! In: the manifest of each instance, its mount, and `[wiring]`. Out: a [`Wiring`], or every [`Finding`] at once.
//! Not here: loading (see `loader`), running (see `dispatch`, `gateway`).
#![forbid(unsafe_code)]

mod bind;
mod bound;
mod finding;
mod settings;
mod terms;
mod types;

pub use coordinator_config::{OnExhausted, Order, Rate};

pub use bind::{BoundHandler, BoundRoute, Installed, Wiring};
pub use finding::{Finding, Severity};
pub use settings::{SettingProblem, check_settings};
pub use terms::{BreakerTerms, HandlerTerms, UnknownTerm};
pub use types::{KnownType, SchemaMismatch, Types, ValidateError};
