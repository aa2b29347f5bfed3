//! `coordinator serve`: the one command that needs a runtime.

use std::io;

use super::exit::{Failure, OK, UNAVAILABLE};
use super::options::Options;

/// The host could not even begin.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the threads of the host")]
struct NoRuntime(#[source] io::Error);

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let config = options.config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("coordinator")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNAVAILABLE, NoRuntime(error)))?;
    match runtime.block_on(crate::serve::run(config)) {
        Ok(()) => Ok(OK),
        Err(error) => Err(Failure::new(error.exit_code(), error)),
    }
}
