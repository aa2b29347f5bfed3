//! How much memory this process has had at most.

use anyhow::{Context as _, Result};

/// Resident, in MiB, from `proc_pid_status(5)`.
pub(crate) fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = kib.context("the kernel tells no VmHWM")?.parse()?;
    Ok(kib / 1024.0)
}
