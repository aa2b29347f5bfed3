//! What fails again and again is said once, and once more when it works again: an outage is no flood of lines.

use tracing::{info, warn};

use super::error::StoreError;

/// How one thing goes that is done again and again.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Completes "failed to …".
    what: &'static str,
    failing: bool,
}

// === impl Trouble ===

impl Trouble {
    pub(super) fn with(what: &'static str) -> Self {
        Self {
            what,
            failing: false,
        }
    }

    /// Takes one outcome in.
    pub(super) fn note(&mut self, outcome: Result<(), StoreError>) {
        let what = self.what;
        let before = std::mem::replace(&mut self.failing, outcome.is_err());
        match outcome {
            Err(error) if !before => {
                warn!(error = %error, "failed to {what}; it is tried until it works");
            }
            Ok(()) if before => info!("it works again to {what}"),
            _ => {}
        }
    }
}
