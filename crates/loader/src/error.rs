//! Why a file was not loaded: what is wrong, with both sides' numbers, and the cure.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadErrorKind {
    /// Missing, a folder, empty, or not readable.
    Unreadable,
    /// Not an ELF shared library for this machine, or cut short.
    NotALibrary,
    /// A library, but no plugin.
    NotAPlugin,
    /// Not what the lock file names.
    Untrusted,
    /// Another ABI.
    Incompatible,
    /// Says one thing in its section and another in its header, or describes itself wrongly.
    Inconsistent,
    /// The dynamic linker refused it.
    Link,
}

/// A plugin file was refused. Shows as three lines: which file, what is wrong, what to do.
#[derive(Debug)]
pub struct LoadError {
    path: PathBuf,
    kind: LoadErrorKind,
    reason: String,
    hint: String,
}

impl LoadError {
    pub(crate) fn new(
        path: &Path,
        kind: LoadErrorKind,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            reason: reason.into(),
            hint: hint.into(),
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub fn kind(&self) -> LoadErrorKind {
        self.kind
    }

    /// What is wrong, on one line.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it, on one line.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path, reason, hint, ..
        } = self;
        write!(
            f,
            "failed to load `{}`\n  {reason}\n  ({hint})",
            path.display()
        )
    }
}

impl std::error::Error for LoadError {}

/// A check's own words, before it is known which file they are about.
pub(crate) struct Refusal {
    pub(crate) kind: LoadErrorKind,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

impl Refusal {
    pub(crate) fn new(
        kind: LoadErrorKind,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            reason: reason.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn of(self, path: &Path) -> LoadError {
        LoadError::new(path, self.kind, self.reason, self.hint)
    }
}
