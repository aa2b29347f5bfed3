//! What every request can reach.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coordinator_context::{CommandTarget, Flags, HandlerTerms, Pipelines, Publisher};
use coordinator_message::Timestamp;
use serde::Serialize;

use crate::auth::ApiKeys;
use crate::bulk::Bulk;
use crate::live::Live;
use crate::operator::Operator;
use crate::probe::Probe;
use crate::tails::Tails;

/// What every request can reach. Shared by all workers.
pub struct State {
    /// Takes messages.
    pub publisher: Publisher,
    /// Routes, plugins and schedules as they are now.
    pub live: Live,
    /// Running handlers.
    pub handlers: Arc<dyn Handlers>,
    /// Pipelines, whoever does their steps.
    pub pipelines: Arc<dyn Pipelines>,
    /// Flags of plugins.
    pub flags: Arc<Flags>,
    /// Plugins, wiring and settings.
    pub operator: Arc<dyn Operator>,
    /// Does the database answer, and if not, why?
    pub database: Box<dyn Fn() -> Asking + Send + Sync>,
    /// Does the cache answer?
    pub cache: Box<dyn Fn() -> Asking + Send + Sync>,
    /// The revision that another host has put in force and that cannot be here, if there is one.
    pub behind: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    /// How many other systems are not called for now, because they failed again and again.
    pub open_breakers: Box<dyn Fn() -> usize + Send + Sync>,
    /// Who may use the API.
    pub keys: ApiKeys,
    /// Longest body in bytes, where a route does not say otherwise.
    pub body_limit: usize,
    /// A body must arrive within this time.
    pub body_timeout: Duration,
    /// A plugin's route must answer within this time.
    pub route_timeout: Duration,
    /// What the journal last said of itself.
    pub probe: Probe,
    /// Whose turn it is to replay or discard many.
    pub bulk: Bulk,
    /// Places for who follows new messages.
    pub tails: Tails,
    /// The Prometheus page.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

/// A question that takes a moment.
pub type Asking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Dispatch, as the gateway sees it.
pub trait Handlers: Send + Sync + 'static {
    /// Every handler that is bound.
    fn list(&self) -> Vec<HandlerView>;

    /// Stops new deliveries of a handler; false if there is none of that name.
    fn pause(&self, id: &str) -> bool;

    /// Goes on; false if there is none of that name.
    fn resume(&self, id: &str) -> bool;
}

/// One handler.
#[derive(Debug, Clone)]
pub struct HandlerView {
    /// `instance.handler`.
    pub id: String,
    /// `running`, `paused`, `stuck`, or, of its breaker, `open` or `half-open`.
    pub state: &'static str,
    /// Until when its breaker is open.
    pub open_until: Option<Timestamp>,
    /// How it is run.
    pub terms: HandlerTerms,
}

/// One schedule.
pub struct ScheduleEntry {
    /// Its name.
    pub name: String,
    /// Type of what it publishes.
    pub ty: String,
    /// When it ticks.
    pub cron: String,
    /// The zone that `cron` is meant in.
    pub zone: String,
    /// What becomes of missed ticks: `one`, `all` or `none`.
    pub missed: &'static str,
    /// Does it tick?
    pub enabled: bool,
    /// Its first tick after a time.
    pub next: Box<dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync>,
}

/// One command of a plugin.
pub struct CommandEntry {
    /// Instance name.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// JSON Schema of its arguments; null if it takes none.
    pub arguments: serde_json::Value,
    /// Time for it.
    pub timeout: Duration,
    /// What runs it; `None` while its plugin does not run.
    pub target: Option<Arc<dyn CommandTarget>>,
}

/// One installed plugin.
#[derive(Debug, Clone, Serialize)]
pub struct PluginEntry {
    /// Instance name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where its routes are mounted.
    pub mount: String,
    /// How it is.
    pub state: PluginStatus,
    /// Must the host have it?
    pub required: bool,
    /// Where its code runs.
    pub isolation: &'static str,
    /// How often it was opened in this process, if it runs.
    pub generation: Option<u64>,
    /// What its mapped file takes, in bytes.
    pub memory_bytes: Option<u64>,
    /// The plugin's own name.
    pub plugin: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// SDK that it was built with.
    pub sdk: Option<String>,
    /// SHA-256 of its file.
    pub sha256: Option<String>,
    /// Why it does not run.
    pub error: Option<String>,
    /// The file that it should have, and that is not on this host.
    pub missing: Option<MissingFile>,
}

/// A file that another host installed, and this one has not.
#[derive(Debug, Clone, Serialize)]
pub struct MissingFile {
    /// The version in it.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
}

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginStatus {
    /// Runs.
    Ready,
    /// Does not run.
    Failed,
    /// Switched off by the operator.
    Disabled,
}
