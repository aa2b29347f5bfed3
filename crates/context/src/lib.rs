//! What the host lends a plugin call, and what comes back of it.
//!
//! In: a delivery or a request, and a plugin instance. Out: a [`Reply`], or a [`RouteReply`].
//! Not here: when to call (see `dispatch`, `gateway`); the ABI itself (see `abi`).
#![forbid(unsafe_code)]

mod check;
mod command;
mod flags;
mod handler;
mod in_flight;
mod log;
mod outcomes;
mod pipeline;
mod plugin;
mod port;
mod publish;
mod step;
mod target;

pub use check::{Look, Wellness};
pub use command::{CommandReply, CommandTarget, Commanding, PluginCommand};
pub use coordinator_wiring::{BreakerTerms, HandlerTerms, OnExhausted, Order, Rate};
pub use flags::{FlagView, Flags};
pub use handler::{PluginHandler, spec};
pub use in_flight::Pass;
pub use log::refresh as refresh_log_level;
pub use pipeline::{
    Answered, MAX_DEPTH, Missing, PipelineRun, PipelineView, Pipelines, Run, RunError, RunFor,
    RunningPipeline, StepOutcome, StepReply, StepTarget, StepTrace, Stepping,
};
pub use plugin::{Opening, Plugin, StartError};
pub use port::Services;
pub use publish::{Origin, Publisher, Refused};
pub use step::PluginStep;
pub use target::{
    Answering, Reply, RouteFailed, RouteReply, RouteRequest, RouteTarget, Running, Target,
};
