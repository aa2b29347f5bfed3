//! What is bound to what: manifests and the operator's configuration become one checked graph.
//!
//! In: the manifest of each instance, its mount, and `[wiring]`. Out: a [`Wiring`], or every [`Finding`] at once.
//! Not here: loading (see `loader`), running (see `dispatch`, `gateway`).
#![forbid(unsafe_code)]

mod bind;
mod bound;
mod compare;
mod cycles;
mod finding;
mod flags;
mod graph;
mod pipelines;
mod rebind;
mod settings;
mod surface;
mod terms;
mod types;

pub use coordinator_config::{OnExhausted, Order, Partial, Rate};

pub use bind::{BoundHandler, BoundRoute, HandlerKind, Installed, Wiring};
pub use compare::{Comparison, Misfit, compare};
pub use finding::{Finding, Severity};
pub use flags::BoundFlag;
pub use graph::{Edge, EdgeKind, Graph, Node, NodeKind};
pub use pipelines::{BoundPipeline, BoundStage, BoundStep, InputMismatch};
pub use settings::{SettingProblem, check_settings, unknown_settings};
pub use surface::{BoundCheck, BoundCommand, BoundSchedule};
pub use terms::{BreakerTerms, HandlerTerms, UnknownTerm};
pub use types::{KnownType, SchemaMismatch, Types, ValidateError};
