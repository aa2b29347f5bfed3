//! The seam to what operators look at and change on the running host: plugins, wiring and settings.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use coordinator_message::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::Problem;

/// An operation in progress. It goes on to its end, also when nobody waits for it any more.
pub type Operating = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

/// Does what operators ask.
pub trait Operator: Send + Sync + 'static {
    /// Does it, or says why not; nothing is half done.
    fn operate(self: Arc<Self>, by: By, operation: Operation) -> Operating;
}

/// Who asks, for the audit log.
#[derive(Debug, Clone)]
pub struct By {
    /// Name of the API key.
    pub key: String,
    /// Where the request came from.
    pub address: Option<String>,
    /// The revision that the change was made for (`If-Match`). Another one in force refuses it.
    pub expected: Option<u64>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Every plugin, on disk and loaded.
    Plugins,
    /// One of them.
    Plugin(String),
    /// Adds a plugin.
    Install(Install),
    /// Gives a plugin another file.
    Upgrade(String, Upgrade),
    /// Gives a plugin the file back that it had before.
    RollBack(String, Comment),
    /// Switches a plugin on or off.
    Enable(String, bool, Comment),
    /// Gives this host the file of a plugin that another host installed.
    Bring(String, Bring),
    /// Takes a plugin away.
    Uninstall(String, Uninstall),
    /// What is in force, and what of it operators set.
    Show(Area),
    /// Sets some of it.
    Change(Area, Changes),
    /// What was set, newest first.
    History(Area, Paging),
    /// Sets everything as it was at a revision.
    Revert(Area, Revert),
    /// Entries of the audit log, newest first.
    Audit(AuditFilter),
    /// Whether the audit log is whole; and, if given, whether so many entries still end with this hash.
    VerifyAudit(Option<(u64, String)>),
    /// Says in the audit log that something is done which changes nothing of all this. The answer has its `sequence`.
    Record(Record),
}

/// What stands in the audit log beside who did it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Such as `command.run`.
    pub action: String,
    /// What it is about, such as `lms.reindex`.
    pub subject: String,
    /// What else there is to know, an object. Never with a secret in it.
    pub detail: Value,
}

/// What overrides are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Area {
    /// Handlers, pipelines and schedules, and where plugins are mounted.
    Wiring,
    /// Settings of one plugin.
    Settings(String),
    /// Flags of plugins.
    Flags,
}

/// A plugin to be added.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// A file, a folder with one plugin in it, or a `file://` URL, on the host's machine.
    pub source: String,
    /// Instance name; the plugin's own if not given.
    #[serde(default)]
    pub name: Option<String>,
    /// Where its routes are served; `/NAME` if not given.
    #[serde(default)]
    pub mount: Option<String>,
    /// Its settings.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Hosts that it may call beside those of its settings.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Another file for a plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// See [`Install::source`].
    pub source: String,
    /// Settings that come with it.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A file that another host installed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bring {
    /// See [`Install::source`].
    pub source: String,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// How a plugin is taken away.
#[derive(Debug, Clone)]
pub struct Uninstall {
    /// Also if deliveries wait for it.
    pub confirmed: bool,
    /// Why.
    pub comment: Option<String>,
}

/// Why something is done.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// In the operator's words.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Values to set; `null` takes an override away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// By key, such as `wiring.handlers."lms.enrol".timeout`; of a plugin's settings the name alone will do.
    pub changes: BTreeMap<String, Value>,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Where to go back to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// The revision whose state is wanted; 0 is the configuration file alone.
    pub revision: u64,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Paging {
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// Which entries of the audit log.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// Who.
    pub actor: Option<String>,
    /// What: all of it, or the part before a dot.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// The part of the list.
    pub paging: Paging,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For the one who asked.
    pub body: Value,
    /// The revision that it is of (`ETag`).
    pub revision: Option<u64>,
}
