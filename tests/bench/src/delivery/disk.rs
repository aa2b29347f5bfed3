//! The disk's own speed, without which no figure of a durable engine means anything.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::paced::percentile;

/// Syncs of one probe.
const SYNCS: usize = 400;

/// Appends 8 KiB and syncs, again and again.
pub(crate) fn measure(dir: &Path) -> Result<Value> {
    let path = dir.join("probe");
    let mut file = File::create(&path)?;
    let page = [7_u8; 8192];
    let mut took: Vec<Duration> = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&page)?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    took.sort_unstable();
    Ok(json!({
        "fsync_p50_ms": percentile(&took, 50),
        "fsync_p99_ms": percentile(&took, 99),
    }))
}
