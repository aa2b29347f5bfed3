//! How long a host takes to read, check and map the files of many plugins.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use coordinator_loader::{Loader, LockFile, Trust};

/// So many files, each with a hash of its own.
const FILES: usize = 100;
const ROUNDS: usize = 3;

/// Milliseconds for all files, in each round: checked against the lock file, mapped, described.
///
/// What was mapped stays mapped, so that each round has a loader that knows none of the files.
pub(crate) fn load(plugin: &Path) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let bytes = fs::read(plugin).with_context(|| format!("failed to read {plugin:?}"))?;
    let mut lock = LockFile::read(&folder.path().join("plugins.lock"))?;
    let mut files = Vec::new();
    for number in 0..FILES {
        let file = folder.path().join(format!("libecho_{number}.so"));
        // Behind all that its headers name, where nothing is mapped from.
        let numbered = [&bytes[..], format!("copy {number}").as_bytes()].concat();
        fs::write(&file, numbered)?;
        lock.add(&file)?;
        files.push(file);
    }
    lock.write()?;
    let rounds = (0..ROUNDS).map(|_| {
        let loader = Loader::new(Trust::Locked(folder.path().join("plugins.lock")));
        let began = Instant::now();
        for file in &files {
            loader.load(file)?;
        }
        Ok(began.elapsed().as_secs_f64() * 1_000.0)
    });
    rounds.collect()
}
