//! What a plugin says of itself: `describe()` answers this as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A plugin's whole surface. Derived by the macros, never written by hand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Plugin name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// SDK version.
    pub sdk: String,
    /// What it is, from the crate's description.
    pub doc: String,
    /// Its settings.
    pub settings: Vec<Setting>,
    /// JSON Schema of its settings.
    pub settings_schema: Value,
    /// Message types that it knows.
    pub messages: Vec<Message>,
    /// Handlers, in the order of their index.
    pub handlers: Vec<Handler>,
    /// Routes, in the order of their index.
    pub routes: Vec<Route>,
    /// Steps of pipelines, in the order of their index. This and what follows: since ABI 1.1.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Schedules, in the order of their index.
    #[serde(default)]
    pub schedules: Vec<Schedule>,
    /// Commands, in the order of their index.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// Checks, in the order of their index.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Flags that it reads.
    #[serde(default)]
    pub flags: Vec<Flag>,
    /// What it does beside them.
    #[serde(default)]
    pub hooks: Hooks,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Name; `instance.name` is how wiring names it.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// The pipeline that it is made for.
    pub pipeline: String,
    /// JSON Schema of the value that it takes.
    pub input: Value,
    /// JSON Schema of the value that it makes.
    pub output: Value,
    /// Time for it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Types of messages that its author says it publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emits: Vec<String>,
    /// Pipelines that its author says it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
}

/// Something that is done again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// Five fields, as cron has them, or six with seconds before them.
    pub cron: String,
    /// IANA time zone, if not UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Attempts before it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// First and longest backoff, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<(u64, u64)>,
    /// Time for one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Something that an operator runs by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// JSON Schema of its arguments, an object; null if it takes none.
    #[serde(default)]
    pub arguments: Value,
    /// Time for it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Something that is looked at before the plugin serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Name.
    pub name: String,
    /// What it looks at.
    pub doc: String,
}

/// A switch that operators turn while the plugin runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Name.
    pub name: String,
    /// What it switches.
    pub doc: String,
    /// Is it on unless an operator says otherwise?
    pub default: bool,
}

/// What a plugin does when it is asked whether it is well, and when it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// Does it say itself whether it is well?
    #[serde(default)]
    pub health: bool,
    /// Has it something to finish?
    #[serde(default)]
    pub stop: bool,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Key in `[plugins.NAME.settings]`.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// `secret`, `secrets`, `url` or `value`.
    pub kind: String,
    /// Must it be given?
    pub required: bool,
}

/// One message type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The type.
    #[serde(rename = "type")]
    pub ty: String,
    /// What it means.
    pub doc: String,
    /// Lane, if not the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The field that orders it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// JSON Schema of its payload.
    pub schema: Value,
}

/// One handler and its default terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handler {
    /// Name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// The type that it takes.
    #[serde(rename = "type")]
    pub ty: String,
    /// Attempts before it is a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// First and longest backoff, in milliseconds; of a list, the shortest and the longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<(u64, u64)>,
    /// Time for one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The waits one after the other, in milliseconds; empty if they double.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backoff_waits_ms: Vec<u64>,
    /// So many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// So many attempts may begin within so many milliseconds, on each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<(u32, u64)>,
    /// `key` or `none`: which order messages are delivered in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// `dead-letter`, `hold-key` or `dead-letter-key`: what becomes of a delivery that is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<String>,
    /// Types of messages that its author says it publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emits: Vec<String>,
    /// Pipelines that its author says it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Name of its function.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// HTTP method, in capitals.
    pub method: String,
    /// Path below the mount; `{name}` is a parameter.
    pub path: String,
    /// Who may call it.
    pub access: Access,
    /// Longest body, in bytes, if not the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<u64>,
}

/// Who may call a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Anybody.
    Public,
    /// A holder of an API key. The scope is declared for when keys have scopes; today every key passes.
    Key(String),
    /// A sender whose signature fits.
    Verify(Verify),
}

/// How a sender is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Scheme, such as `stripe`.
    pub scheme: String,
    /// The setting that holds its secret or secrets.
    pub setting: String,
    /// Further keys of the scheme.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, Value>,
}
