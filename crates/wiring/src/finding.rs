//! What is wrong with a wiring, all at once.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of the check, such as `duplicate-route`; of a plugin's own check what its author calls it.
    pub id: Cow<'static, str>,
    /// Does it stop the start?
    pub severity: Severity,
    /// What it is about, such as `lms.enrol`.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// To be known.
    Info,
    /// Works, but look at it.
    Warning,
    /// Does not work: the host does not start with it.
    Error,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Self {
            id,
            subject,
            message,
            hint,
            ..
        } = self;
        write!(f, "{severity}[{id}] {subject}: {message}")?;
        if hint.is_empty() {
            return Ok(());
        }
        write!(f, "\n  ({hint})")
    }
}
