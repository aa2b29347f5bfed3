//! The highest version of each instance that has run on this host: no lower one is loaded by itself.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use semver::Version;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// `DATA_DIR/floors.toml`, which outlives the process: what somebody puts into a plugin's place while the host is down is
/// held against it too.
#[derive(Debug)]
pub struct Floors {
    path: PathBuf,
    highest: Mutex<BTreeMap<String, Version>>,
}

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FloorsError {
    /// Not readable or not writable.
    #[error(
        "failed to {action} `{path}`\n  (the host must be able to write to its data folder, `server.data_dir`)"
    )]
    Io {
        /// Which act.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not what the host wrote.
    #[error(
        "`{path}` is not a list of versions\n  (mend it: `[highest]`, and a line such as `lms = \"1.4.0\"` for each plugin)"
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    #[serde(default)]
    highest: BTreeMap<String, String>,
}

const HEAD: &str = "# Written by the host: the highest version of each plugin that has run here. Under `trust.policy = \"signed\"` no lower\n\
                    # one is loaded. To go back with a plugin of the configuration file, take its line out and start the host again.\n\n";

impl Floors {
    /// Reads those of a host; none are known to a new one.
    ///
    /// # Errors
    ///
    /// If the file is there and cannot be read: taking it for empty would let any version in.
    pub fn read(data_dir: &Path) -> Result<Self, FloorsError> {
        let path = data_dir.join("floors.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(source) => {
                let action = "read";
                return Err(FloorsError::Io {
                    action,
                    path,
                    source,
                });
            }
        };
        match parse(&text) {
            Ok(highest) => Ok(Self {
                path,
                highest: Mutex::new(highest),
            }),
            Err(source) => Err(FloorsError::Malformed { path, source }),
        }
    }

    /// The highest version of an instance that has run.
    #[must_use]
    pub fn of(&self, instance: &str) -> Option<Version> {
        self.highest().get(instance).cloned()
    }

    /// These run. Remembers what is higher than what has run so far.
    ///
    /// # Errors
    ///
    /// If the file cannot be written: it is remembered for as long as the process lives.
    pub fn raise<'a>(
        &self,
        running: impl IntoIterator<Item = (&'a str, &'a Version)>,
    ) -> Result<(), FloorsError> {
        let mut highest = self.highest();
        let mut raised = false;
        for (instance, version) in running {
            let known = highest.get(instance);
            if known.is_none_or(|known| known.cmp_precedence(version).is_lt()) {
                highest.insert(instance.to_owned(), version.clone());
                raised = true;
            }
        }
        if raised { self.write(&highest) } else { Ok(()) }
    }

    fn write(&self, highest: &BTreeMap<String, Version>) -> Result<(), FloorsError> {
        let lines = highest.iter();
        let on_disk = OnDisk {
            highest: lines
                .map(|(name, version)| (name.clone(), version.to_string()))
                .collect(),
        };
        // A table of text: it always serialises.
        let text = format!("{HEAD}{}", toml::to_string(&on_disk).unwrap_or_default());
        let written = || {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            // Of a host that keeps journal and store on servers nothing else may have made it.
            std::fs::create_dir_all(folder)?;
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        };
        written().map(drop).map_err(|source| FloorsError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }

    fn highest(&self) -> MutexGuard<'_, BTreeMap<String, Version>> {
        self.highest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(
    text: &str,
) -> Result<BTreeMap<String, Version>, Box<dyn std::error::Error + Send + Sync>> {
    let on_disk: OnDisk = toml::from_str(text)?;
    let lines = on_disk.highest.into_iter();
    lines
        .map(|(name, version)| Ok((name, Version::parse(&version)?)))
        .collect()
}
