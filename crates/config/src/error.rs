//! What is wrong with a configuration, in the words of its operator.

use std::fmt;

use crate::layers::Source;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The layer that holds the mistake.
    pub source: Source,
    /// The setting, such as `plugins.lms.path`; empty if the layer as a whole is meant.
    pub key: String,
    /// What was expected, or what is wrong, as a lower-case fragment.
    pub problem: String,
    /// The value that was found, unless it may be a secret.
    pub found: Option<String>,
    /// What the operator can do.
    pub hint: Option<String>,
}

/// Every mistake of a configuration, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigError {
    /// A layer that cannot be read at all.
    pub(crate) fn whole(source: Source, problem: String) -> Self {
        Self {
            source,
            key: String::new(),
            problem,
            found: None,
            hint: None,
        }
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }
}

impl ConfigErrors {
    /// The mistakes, in the order of the sections.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        // An environment variable is named after its key.
        if !self.key.is_empty() && !matches!(self.source, Source::Env(_)) {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if let Some(found) = &self.found {
            write!(f, ", found {found}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}
