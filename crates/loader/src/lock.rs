//! `plugins.lock`: which bytes the operator has looked at and trusts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::error::Refusal;
use crate::image::Image;
use crate::inspect::inspect;
use crate::trust::untrusted;

/// The lock file's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    path: PathBuf,
    files: BTreeMap<String, Locked>,
}

/// One locked file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Plugin name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// The file on disk: `[files."path"]` tables.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    version: u32,
    #[serde(default)]
    files: BTreeMap<String, Locked>,
}

const FORMAT: u32 = 1;
const HEAD: &str = "# Written by `coordinator plugin lock`: the plugin files that may be loaded, by their SHA-256.\n\
                    # Keep it under version control; run the command again after you have looked at a new file.\n\n";

/// The lock file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not readable or not writable.
    #[error("failed to {action} `{path}`")]
    Io {
        /// Which act.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a lock file.
    #[error("`{path}` is not a lock file\n  (write it again with `coordinator plugin lock`)")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A file to lock is no plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
}

impl LockFile {
    /// Reads it; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is malformed.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    files: BTreeMap::new(),
                });
            }
            Err(source) => {
                return Err(LockError::Io {
                    action: "read",
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let on_disk: OnDisk = toml::from_str(&text).map_err(|source| LockError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self {
            path: path.to_owned(),
            files: on_disk.files,
        })
    }

    /// Adds a file as it is now, or replaces what was known of it. Runs none of it.
    ///
    /// # Errors
    ///
    /// If the file is no plugin that this host could load.
    pub fn add(&mut self, plugin: &Path) -> Result<&Locked, LockError> {
        let inspection = inspect(plugin)?;
        let head = inspection.section.head;
        let locked = Locked {
            name: head.name,
            version: head.version,
            sha256: inspection.sha256,
        };
        let key = self.key(plugin);
        Ok(self
            .files
            .entry(key)
            .and_modify(|old| old.clone_from(&locked))
            .or_insert(locked))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the file or its folder cannot be written.
    pub fn write(&self) -> Result<(), LockError> {
        let failed = |source| LockError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        };
        let on_disk = OnDisk {
            version: FORMAT,
            files: self.files.clone(),
        };
        // Tables of text: they always serialise.
        let text = format!("{HEAD}{}", toml::to_string(&on_disk).unwrap_or_default());
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The locked files, by path.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Locked> {
        &self.files
    }

    /// Is this image what was locked? A path that is not in the file may hold bytes that are: an installed plugin is a
    /// copy of the file that the operator looked at.
    pub(crate) fn check(&self, image: &Image) -> Result<(), Refusal> {
        let (file, hash) = (image.path().display(), image.sha256());
        match self.files.get(&self.key(image.path())) {
            Some(locked) if locked.sha256 == hash => Ok(()),
            Some(locked) => {
                let (then, now) = (short(&locked.sha256), short(hash));
                Err(untrusted(
                    format!(
                        "the file has changed since it was locked: SHA-256 was {then}…, is {now}…"
                    ),
                    format!("if the change is yours, run `coordinator plugin lock {file}`"),
                ))
            }
            None if self.files.values().any(|locked| locked.sha256 == hash) => Ok(()),
            None => Err(untrusted(
                format!("the file is not in `{}`", self.path.display()),
                format!(
                    "look at it with `coordinator plugin inspect`, then run `coordinator plugin lock {file}`"
                ),
            )),
        }
    }

    /// Paths are kept relative to the lock file, so that the folder can move.
    fn key(&self, plugin: &Path) -> String {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = canonical(folder.unwrap_or_else(|| Path::new(".")));
        let plugin = canonical(plugin);
        plugin
            .strip_prefix(&folder)
            .unwrap_or(&plugin)
            .display()
            .to_string()
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
