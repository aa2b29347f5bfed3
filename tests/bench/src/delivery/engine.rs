//! The engines under measurement.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use coordinator_journal::redis::{RedisJournal, RedisOptions};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{Durability, Journal, Limits, SystemClock};

use crate::server::{Server, Settings};

/// What stores the messages, and how durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SQLite, each commit synced.
    Sqlite,
    /// Redis, its file synced once a second.
    RedisEverysec,
    /// Redis, its file synced at every write.
    RedisAlways,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "redis-everysec" => Ok(Self::RedisEverysec),
            "redis-always" => Ok(Self::RedisAlways),
            other => bail!("there is no engine `{other}`"),
        }
    }
}

/// An engine and what it needs to live.
pub(crate) struct Engine {
    pub(crate) journal: Arc<dyn Journal>,
    _server: Option<Server>,
}

impl Engine {
    /// Opens it in `dir`; again on what is there.
    pub(crate) async fn open(kind: Kind, dir: &Path) -> Result<Self> {
        if kind == Kind::Sqlite {
            return Ok(Self {
                journal: Arc::new(sqlite(dir).await?),
                _server: None,
            });
        }
        let server = server(kind);
        let options = RedisOptions {
            url: server.url(),
            prefix: "bench".to_owned(),
            partitions: 1,
            durability: match kind {
                Kind::RedisAlways => Durability::Strict,
                Kind::RedisEverysec | Kind::Sqlite => Durability::Relaxed,
            },
            asserted: false,
            limits: limits(),
            clock: Arc::new(SystemClock),
            node_timeout: Duration::from_secs(15),
            much: RedisOptions::MUCH,
        };
        let journal = RedisJournal::open(options).await?;
        Ok(Self {
            journal: Arc::new(journal),
            _server: Some(server),
        })
    }
}

/// A server of its own, with the settings of that kind. It does not rewrite its file meanwhile: that would take a core
/// from one run and not from another.
pub(crate) fn server(kind: Kind) -> Server {
    let appendfsync = match kind {
        Kind::RedisAlways => "always",
        Kind::RedisEverysec | Kind::Sqlite => "everysec",
    };
    Server::start(Settings {
        appendfsync: Some(appendfsync),
        rewrite: false,
        ..Settings::default()
    })
}

fn limits() -> Limits {
    Limits {
        max_size: 64 << 30,
        retention_size: 64 << 30,
        max_backlog: 100_000_000,
        ..Limits::default()
    }
}

async fn sqlite(dir: &Path) -> Result<SqliteJournal> {
    let options = SqliteOptions {
        dir: dir.to_owned(),
        durability: Durability::Strict,
        limits: limits(),
        clock: Arc::new(SystemClock),
    };
    Ok(SqliteJournal::open(options).await?)
}
