//! Where things are: asked of cargo, which knows about `CARGO_TARGET_DIR` and configuration files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The checkout and its target folder.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("failed to start cargo")?;
        ensure!(output.status.success(), "`cargo metadata` failed");
        let metadata: Value =
            serde_json::from_slice(&output.stdout).context("failed to read `cargo metadata`")?;
        let path = |field: &str| metadata[field].as_str().map(PathBuf::from);
        Ok(Self {
            root: path("workspace_root").context("`cargo metadata` names no workspace root")?,
            target: path("target_directory").context("`cargo metadata` names no target folder")?,
        })
    }

    /// A cargo command at the workspace's root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root).args(arguments);
        command
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A program or plugin file of the dev profile.
    pub(crate) fn built(&self, file: &str) -> PathBuf {
        self.target.join("debug").join(file)
    }
}

/// The cargo that runs us, so that the toolchain is the same.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
