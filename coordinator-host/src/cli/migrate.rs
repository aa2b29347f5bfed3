//! `coordinator migrate`: brings the database up to date, or says what there is to do.

use std::io;

use clap::Args;
use coordinator_config::Config;
use coordinator_store::{Migration, OpenError, Store, StoreError, StoreOptions};
use serde_json::json;

use super::exit::{CONFIG, Failure, OK, PROBLEMS, UNAVAILABLE};
use super::options::{Format, Options};
use super::output;

/// Brings the tables of `[database]` up to date. A host does the same when it starts.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Only say what is to be done: exits with 1 if there is something.
    #[arg(long)]
    status: bool,
}

#[derive(Debug, thiserror::Error)]
enum MigrateError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("failed to migrate the database {place}")]
    Store {
        place: String,
        #[source]
        source: StoreError,
    },
    #[error("failed to start the threads of the migration")]
    NoRuntime(#[source] io::Error),
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        let is_configuration = match &error {
            MigrateError::Open(error) => error.is_configuration(),
            MigrateError::Store { source, .. } => matches!(source, StoreError::Newer(_)),
            MigrateError::NoRuntime(_) => false,
        };
        Self::new(
            if is_configuration {
                CONFIG
            } else {
                UNAVAILABLE
            },
            error,
        )
    }
}

/// What was found, and what was done.
struct Outcome {
    place: String,
    applied_now: Vec<String>,
    migrations: Vec<Migration>,
}

impl Migrate {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let config = options.config()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(MigrateError::NoRuntime)?;
        let outcome = runtime.block_on(self.migrate(&config))?;
        outcome.tell(options)?;
        let is_complete = outcome.migrations.iter().all(|migration| migration.applied);
        Ok(if is_complete { OK } else { PROBLEMS })
    }

    async fn migrate(&self, config: &Config) -> Result<Outcome, MigrateError> {
        let store = Store::open(&StoreOptions {
            url: config.database.url.expose().to_owned(),
            max_connections: config.database.max_connections,
            timeout: config.database.timeout,
        })
        .await?;
        let place = store.place().to_owned();
        let outcome = self.bring_up_to_date(&store).await;
        store.close().await;
        let (applied_now, migrations) = outcome.map_err(|source| MigrateError::Store {
            place: place.clone(),
            source,
        })?;
        Ok(Outcome {
            place,
            applied_now,
            migrations,
        })
    }

    async fn bring_up_to_date(
        &self,
        store: &Store,
    ) -> Result<(Vec<String>, Vec<Migration>), StoreError> {
        let applied_now = if self.status {
            Vec::new()
        } else {
            store.migrate().await?
        };
        Ok((applied_now, store.migrations().await?))
    }
}

impl Outcome {
    fn tell(&self, options: &Options) -> Result<(), output::PrintError> {
        if options.output == Format::Json {
            return output::json(&json!({
                "database": self.place.trim_matches('`'),
                "applied": self.applied_now,
                "migrations": self.migrations,
            }));
        }
        let rows = self.migrations.iter().map(|migration| {
            let state = match (
                migration.applied,
                self.applied_now.contains(&migration.name),
            ) {
                (true, true) => "applied now",
                (true, false) => "applied",
                (false, _) => "to be applied",
            };
            [migration.name.clone(), state.to_owned()]
        });
        output::table(["MIGRATION", "STATE"], rows, "there are no migrations")?;
        output::note(&format!("database {}", self.place))
    }
}
