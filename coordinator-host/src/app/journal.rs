//! Opens the journal with the engine that is configured.

use std::sync::Arc;

use coordinator_config::{Config, Durability, Engine, Payloads};
use coordinator_journal::redis::{RedisJournal, RedisOptions};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{Journal, Limits, SystemClock};

use super::error::AppError;

/// Opens the journal.
pub(crate) async fn open(config: &Config) -> Result<Arc<dyn Journal>, AppError> {
    match config.journal.engine {
        Engine::Sqlite => sqlite(config).await,
        Engine::Redis => redis(config).await,
    }
}

async fn redis(config: &Config) -> Result<Arc<dyn Journal>, AppError> {
    let server = &config.journal.redis;
    let journal = RedisJournal::open(RedisOptions {
        // Without one the configuration would have been refused.
        url: server
            .url
            .as_ref()
            .map(|url| url.expose().to_owned())
            .unwrap_or_default(),
        prefix: server.prefix.clone(),
        partitions: server.partitions,
        durability: durability(config),
        asserted: server.assume_synced,
        limits: limits(config),
        clock: Arc::new(SystemClock),
        node_timeout: server.node_timeout,
        much: RedisOptions::MUCH,
    })
    .await
    .map_err(AppError::Redis)?;
    Ok(Arc::new(journal))
}

async fn sqlite(config: &Config) -> Result<Arc<dyn Journal>, AppError> {
    let dir = config.server.data_dir.clone();
    std::fs::create_dir_all(&dir).map_err(|source| AppError::DataDir {
        dir: dir.clone(),
        source,
    })?;
    let journal = SqliteJournal::open(SqliteOptions {
        dir,
        durability: durability(config),
        limits: limits(config),
        clock: Arc::new(SystemClock),
    })
    .await
    .map_err(AppError::Journal)?;
    Ok(Arc::new(journal))
}

fn durability(config: &Config) -> coordinator_journal::Durability {
    match config.journal.durability {
        Durability::Strict => coordinator_journal::Durability::Strict,
        Durability::Relaxed => coordinator_journal::Durability::Relaxed,
    }
}

fn limits(config: &Config) -> Limits {
    let journal = &config.journal;
    Limits {
        retention: journal.retention,
        retention_size: journal.retention_size.bytes(),
        payloads: match journal.payloads {
            Payloads::Retained => coordinator_journal::Payloads::Retained,
            Payloads::UntilSettled => coordinator_journal::Payloads::UntilSettled,
        },
        max_size: journal.max_size.bytes(),
        max_backlog: journal.max_backlog,
    }
}
