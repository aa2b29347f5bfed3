//! What `coordinator dev` starts ends with it, however that ends: killed, it can tell its host nothing any more.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::exit::{Failure, UNAVAILABLE};

/// The process would outlive the one that started it.
#[derive(Debug, thiserror::Error)]
enum ParentError {
    #[error("failed to ask for a signal when process {parent} ends")]
    NoSignal {
        parent: i32,
        #[source]
        source: io::Error,
    },
    #[error(
        "process {0}, which this one is to end with, is not the one that started it\n  (`--ends-with` is for `coordinator dev`: leave it out)"
    )]
    Gone(i32),
}

/// Has the kernel send SIGTERM to this process when `parent`, which started it, ends.
pub(super) fn end_with(parent: i32) -> Result<(), Failure> {
    let asked = set_parent_process_death_signal(Some(Signal::TERM));
    asked.map_err(|error| {
        let source = error.into();
        Failure::new(UNAVAILABLE, ParentError::NoSignal { parent, source })
    })?;
    // It may have ended before the kernel was asked, and then no signal comes.
    if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
        return Err(Failure::new(UNAVAILABLE, ParentError::Gone(parent)));
    }
    Ok(())
}
