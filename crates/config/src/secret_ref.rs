//! Where a secret is kept: a variable, a file, or (discouraged) right here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layers::Sources;
use crate::secret::Secret;

/// Largest secret file, bytes; a private key has a few thousand.
const MAX_FILE: u64 = 64 * 1024;

/// How a setting names its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SecretRef<'a> {
    Env(&'a str),
    File(&'a str),
    Literal(&'a str),
}

/// The places that secrets may be fetched from.
#[derive(Default)]
pub(crate) struct SecretPlaces {
    env: BTreeMap<String, Secret>,
    folder: PathBuf,
}

/// The secret is not where the setting says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    #[error("the secret in `{0}` is empty")]
    Empty(String),
    #[error("the secret file `{path}` is not readable: {reason}")]
    File { path: String, reason: String },
}

impl<'a> SecretRef<'a> {
    fn parse(text: &'a str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name)
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(path)
        } else {
            Self::Literal(text)
        }
    }
}

impl SecretPlaces {
    pub(crate) fn new(sources: &Sources) -> Self {
        let folder = sources
            .file()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        let env = sources.env().iter();
        let env = env
            .map(|(name, value)| (name.clone(), Secret::new(value)))
            .collect();
        Self {
            env,
            folder: folder.to_owned(),
        }
    }

    /// A path as the configuration file means it.
    pub(crate) fn resolve_path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    /// Whether the text is the secret itself.
    pub(crate) fn is_literal(text: &str) -> bool {
        matches!(SecretRef::parse(text), SecretRef::Literal(_))
    }

    pub(crate) fn resolve(&self, text: &str) -> Result<Secret, SecretError> {
        let (secret, place) = match SecretRef::parse(text) {
            SecretRef::Literal(value) => (Secret::new(value), "the configuration".to_owned()),
            SecretRef::Env(name) => {
                let found = self
                    .env
                    .get(name)
                    .ok_or_else(|| SecretError::Unset(name.to_owned()))?;
                (found.clone(), name.to_owned())
            }
            SecretRef::File(path) => (self.read(path)?, path.to_owned()),
        };
        if secret.is_empty() {
            Err(SecretError::Empty(place))
        } else {
            Ok(secret)
        }
    }

    fn read(&self, path: &str) -> Result<Secret, SecretError> {
        let failed = |reason: String| SecretError::File {
            path: path.to_owned(),
            reason,
        };
        let file = self.resolve_path(path);
        let size = std::fs::metadata(&file)
            .map_err(|error| failed(error.to_string()))?
            .len();
        if size > MAX_FILE {
            return Err(failed(format!("{size} bytes are too many for a secret")));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        // Editors and `echo` end a file with a line break; no secret does.
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }
}
