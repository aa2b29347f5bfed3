//! Ctrl-C and SIGTERM, noted instead of obeyed at once, so that child processes are ended in order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether the person at the terminal has had enough.
pub(crate) struct Interrupt(Arc<AtomicBool>);

/// The error that unwinds a command after Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .context("failed to listen for signals")?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits a moment between two looks at something.
    ///
    /// # Errors
    /// [`Interrupted`] after Ctrl-C.
    pub(crate) fn pause(&self) -> Result<()> {
        std::thread::sleep(Duration::from_millis(50));
        if self.has_come() {
            Err(Interrupted.into())
        } else {
            Ok(())
        }
    }
}
