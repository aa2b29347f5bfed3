//! What `check` and `graph` look at: what a host would run if it started now, or the configuration file alone.

use clap::Args;

use super::exit::{CONFIG, Failure, UNAVAILABLE};
use super::options::Options;
use super::output;
use crate::app::{AppError, Decided};

/// Which configuration.
#[derive(Debug, Args)]
pub(crate) struct LookedAt {
    /// Looks at the configuration file alone, not at the plugins that were installed and what was set on a running host.
    #[arg(long)]
    file_only: bool,
}

/// What operators changed is out of sight.
#[derive(Debug, thiserror::Error)]
#[error(
    "what was changed on the running host cannot be seen\n  (--file-only looks at the configuration file alone)"
)]
struct OutOfSight(#[source] AppError);

impl LookedAt {
    /// Reads it, and says beside it what it was if it is more than the file.
    pub(super) fn read(&self, options: &Options) -> Result<Decided, Failure> {
        let config = options.config()?;
        if self.file_only {
            return Ok(Decided::by_file(config));
        }
        let looked = runtime()?.block_on(crate::app::look(&config));
        let decided = looked.map_err(|error| match error {
            AppError::Config(wrong) => Failure::new(CONFIG, wrong),
            error => Failure::new(error.exit_code(), OutOfSight(error)),
        })?;
        if decided.revision > 0 {
            let revision = decided.revision;
            output::note(&format!(
                "with what was installed and set on the running host, revision {revision}"
            ))?;
        }
        Ok(decided)
    }
}

/// For what has to wait.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNAVAILABLE, error))
}
