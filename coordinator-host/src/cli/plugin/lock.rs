//! `coordinator plugin lock`: the operator has looked at these files, and trusts these bytes.

use std::path::PathBuf;

use clap::Args;
use coordinator_loader::{LockError, LockFile, Locked};
use serde_json::json;

use crate::cli::exit::{CONFIG, Failure, OK, PLUGIN, PROBLEMS, USAGE};
use crate::cli::options::{ConfigError, Format, Options};
use crate::cli::output;

/// Writes hashes of plugin files to `trust.lock_file`.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The `.so` files [default: those of all configured plugins].
    files: Vec<PathBuf>,
}

/// Nothing to lock.
#[derive(Debug, thiserror::Error)]
#[error("no plugin is configured\n  (name files: `coordinator plugin lock FILE…`)")]
struct NothingToLock;

impl Lock {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let named_none = self.files.is_empty();
        let config = if named_none {
            options.config()?
        } else {
            options.config_or_defaults().map_err(ConfigError::from)?
        };
        let configured = config.plugins.values().map(|plugin| plugin.path.clone());
        let files: Vec<PathBuf> = if named_none {
            configured.collect()
        } else {
            self.files.clone()
        };
        if files.is_empty() {
            return Err(Failure::new(USAGE, NothingToLock));
        }
        let path = config.trust.lock_file;
        let mut lock = LockFile::read(&path).map_err(refused)?;
        let mut locked = Vec::new();
        for file in &files {
            locked.push((file, lock.add(file).map_err(refused)?.clone()));
        }
        // Written when every file was good: all or nothing.
        lock.write().map_err(refused)?;
        print(&locked, options)?;
        if options.output == Format::Table {
            output::note(&format!("wrote `{}`", path.display()))?;
        }
        Ok(OK)
    }
}

fn print(locked: &[(&PathBuf, Locked)], options: &Options) -> Result<(), output::PrintError> {
    match options.output {
        Format::Table => {
            let rows = locked.iter().map(|(file, locked)| {
                let (name, version) = (locked.name.clone(), locked.version.clone());
                [
                    name,
                    version,
                    locked.sha256.clone(),
                    file.display().to_string(),
                ]
            });
            output::table(["PLUGIN", "VERSION", "SHA-256", "FILE"], rows, "")
        }
        Format::Json => {
            let rows = locked.iter().map(|(file, locked)| {
                json!({
                    "name": locked.name,
                    "version": locked.version,
                    "sha256": locked.sha256,
                    "path": file,
                })
            });
            output::json(&rows.collect::<Vec<_>>())
        }
    }
}

fn refused(error: LockError) -> Failure {
    let code = match &error {
        LockError::Plugin(_) => PLUGIN,
        LockError::Malformed { .. } => CONFIG,
        LockError::Io { .. } => PROBLEMS,
    };
    Failure::new(code, error)
}
