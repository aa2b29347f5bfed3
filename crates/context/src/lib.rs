//! What the host lends a plugin call, and what comes back of it.
//!
//! In: a delivery or a request, and a plugin instance. Out: a [`Reply`], or a [`RouteReply`].
//! Not here: when to call (see `dispatch`, `gateway`); the ABI itself (see `abi`).
#![forbid(unsafe_code)]

mod handler;
mod log;
mod outcomes;
mod plugin;
mod port;
mod publish;
mod target;

pub use coordinator_wiring::{BreakerTerms, HandlerTerms, OnExhausted, Order, Rate};
pub use handler::{PluginHandler, spec};
pub use log::refresh as refresh_log_level;
pub use plugin::{Opening, Plugin, StartError};
pub use port::Services;
pub use publish::{Origin, Publisher, Refused};
pub use target::{
    Answering, Reply, RouteFailed, RouteReply, RouteRequest, RouteTarget, Running, Target,
};
