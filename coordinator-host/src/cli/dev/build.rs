//! Builds a plugin with cargo, and finds the file that it made.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

/// What was built.
pub(super) struct Built {
    /// Name of the plugin.
    pub(super) name: String,
    /// Its file.
    pub(super) file: PathBuf,
}

/// Nothing was built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("`cargo` cannot be run")]
    Cargo(#[source] io::Error),
    #[error("it does not build")]
    Failed,
    #[error(
        "it built no `.so` file: its Cargo.toml needs `crate-type = [\"cdylib\"]` below `[lib]`"
    )]
    NoLibrary,
    #[error("what it built is no plugin: {0}")]
    NoPlugin(String),
}

/// A line of `cargo build --message-format json`, as far as it matters.
#[derive(Deserialize)]
struct Line {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the plugin in `path`; what the compiler says goes to standard error.
pub(super) async fn build(path: &Path, release: bool) -> Result<Built, BuildError> {
    let manifest = path.join("Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(&manifest)
        .args(release.then_some("--release"))
        .current_dir(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let building = cargo.spawn().map_err(BuildError::Cargo)?;
    let output = building.wait_with_output();
    let output = output.await.map_err(BuildError::Cargo)?;
    if !output.status.success() {
        return Err(BuildError::Failed);
    }
    let file = library(&output.stdout, &manifest).ok_or(BuildError::NoLibrary)?;
    let inspection = coordinator_loader::inspect(&file)
        .map_err(|refusal| BuildError::NoPlugin(refusal.to_string()))?;
    Ok(Built {
        name: inspection.section.head.name,
        file,
    })
}

/// The `.so` file that cargo made of this manifest.
fn library(lines: &[u8], manifest: &Path) -> Option<PathBuf> {
    let lines = lines.split(|byte| *byte == b'\n');
    let artifacts = lines
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
        .filter(|line| line.reason == "compiler-artifact" && line.manifest_path == manifest);
    artifacts
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "so"))
}
