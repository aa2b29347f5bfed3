//! Waiting for what must happen.

use std::time::{Duration, Instant};

/// Longer than anything takes on the slowest machine: only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const PACE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and returns it.
///
/// # Panics
///
/// If patience ends first; `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(PACE);
    }
}
