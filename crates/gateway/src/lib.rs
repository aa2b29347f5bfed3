//! HTTP: routes of plugins under their mounts, the API, health and metrics.
//!
//! In: requests, capped and verified over their raw bytes before anything parses them. Out: responses, or
//! problem+json with a stable code. Not here: what a route does (see `context`), handlers (see `dispatch`).
#![forbid(unsafe_code)]

mod api;
pub mod auth;
mod body;
mod bulk;
mod cloudevents;
mod health;
mod live;
pub mod operator;
mod plugin_route;
mod probe;
mod problem;
mod routes;
mod server;
mod state;
mod tails;

pub use actix_web::http::StatusCode;
pub use bulk::Bulk;
pub use live::{Live, LiveView};
pub use probe::Probe;
pub use problem::Problem;
pub use routes::{MountedRoute, RouteError, RouteTable};
pub use server::{Listening, ServeError, bind, listen};
pub use state::{
    Asking, CommandEntry, HandlerView, Handlers, MissingFile, PluginEntry, PluginStatus,
    ScheduleEntry, State,
};
pub use tails::Tails;
