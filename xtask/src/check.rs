//! `cargo xtask check`: what a reviewer should not have to say.

use anyhow::Result;

use crate::steps::Steps;

pub(crate) fn check(steps: &mut Steps<'_>) -> Result<()> {
    steps.cargo(&["fmt", "--all", "--check"], &[])?;
    steps.cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    steps.cargo(
        &["doc", "--workspace", "--no-deps"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}
