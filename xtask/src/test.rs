//! `cargo xtask test`: everything that must pass.

use anyhow::Result;

use crate::steps::Steps;

/// The tests load plugins as files and run the host as a process. `cargo test` alone builds neither
/// for them; the whole workspace is built, since a part of it would be compiled with other features
/// and once more.
pub(crate) fn test(steps: &mut Steps<'_>) -> Result<()> {
    steps.cargo(&["build", "--workspace"], &[])?;
    steps.cargo(&["test", "--workspace"], &[])
}
