//! Where things are: asked of cargo, which knows about `CARGO_TARGET_DIR` and configuration files.

use std::fs;
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

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command at the workspace's root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// A program or plugin file that was built.
    pub(crate) fn built(&self, profile: Profile, file: &str) -> PathBuf {
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        };
        self.target.join(folder).join(file)
    }

    /// The file of one of our plugins, by the plugin's name.
    pub(crate) fn built_plugin(&self, profile: Profile, name: &str) -> PathBuf {
        self.built(profile, &format!("libcoordinator_{name}.so"))
    }

    /// A new folder under the target folder.
    pub(crate) fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join(format!("{name}-{}", std::process::id()));
        // One may be left of an earlier process with our id.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// How something was built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// The cargo that runs us, so that the toolchain is the same.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
