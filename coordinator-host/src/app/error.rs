//! Why the host did not start, and the exit code of each reason.

use std::fmt;
use std::path::PathBuf;

use coordinator_config::ConfigErrors;
use coordinator_dispatch::StartError;
use coordinator_journal::{JournalError, redis, sqlite};
use coordinator_wiring::Finding;

use crate::cli::exit;

/// The host did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Telemetry(coordinator_telemetry::InitError),
    #[error(transparent)]
    Lock(coordinator_loader::LockError),
    #[error(transparent)]
    Key(coordinator_loader::KeyError),
    #[error(transparent)]
    Floors(coordinator_loader::FloorsError),
    #[error("plugin `{name}` is required and does not run\n  {}", reason.replace('\n', "\n  "))]
    Required { name: String, reason: String },
    #[error("plugin `{name}` does not run as changed\n  {}", reason.replace('\n', "\n  "))]
    Plugin { name: String, reason: String },
    #[error("the plugins cannot be wired together{}", Lines(.0))]
    Wiring(Vec<Finding>),
    #[error("failed to make the data folder `{dir}`\n  (see `server.data_dir`)")]
    DataDir {
        dir: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Journal(sqlite::OpenError),
    #[error("the journal cannot be kept in Redis\n  (see `[journal.redis]`)")]
    Redis(#[source] redis::OpenError),
    #[error(
        "the journal is needed for this and cannot be used\n  (nothing was changed: try again once `/readyz` says that the journal is well)"
    )]
    Away(#[source] JournalError),
    #[error(transparent)]
    Cache(coordinator_cache::OpenError),
    #[error(transparent)]
    Database(coordinator_store::OpenError),
    #[error(transparent)]
    Store(coordinator_store::StoreError),
    #[error(transparent)]
    Egress(coordinator_egress::BuildError),
    #[error(transparent)]
    Dispatch(coordinator_dispatch::StartError),
    #[error(transparent)]
    Route(coordinator_gateway::RouteError),
    #[error(transparent)]
    Listen(coordinator_gateway::ServeError),
}

impl AppError {
    /// The journal did not open this handler.
    pub(super) fn unopened((handler, source): (String, JournalError)) -> Self {
        Self::Dispatch(StartError::Open { handler, source })
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Required { .. } | Self::Plugin { .. } => exit::PLUGIN,
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::Lock(_)
            | Self::Key(_)
            | Self::Floors(_)
            | Self::Wiring(_)
            | Self::Cache(_)
            | Self::DataDir { .. } => exit::CONFIG,
            Self::Journal(sqlite::OpenError::Locked { .. }) | Self::Route(_) => exit::CONFIG,
            // A server that is there and does not fit stays so until somebody changes its settings, or ours.
            Self::Redis(
                redis::OpenError::Address { .. }
                | redis::OpenError::Unfit { .. }
                | redis::OpenError::Otherwise { .. },
            ) => exit::CONFIG,
            Self::Database(error) if error.is_configuration() => exit::CONFIG,
            Self::Journal(_)
            | Self::Redis(_)
            | Self::Away(_)
            | Self::Database(_)
            | Self::Store(_)
            | Self::Egress(_)
            | Self::Dispatch(_)
            | Self::Listen(_) => exit::UNAVAILABLE,
        }
    }
}

/// Findings, each on lines of its own.
struct Lines<'a>(&'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.0 {
            write!(f, "\n  {}", finding.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}
