//! The sections of the host itself. Each setting is explained in `default.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::reader::Reader;
use crate::value::{Raw, Setting};
use crate::{Backoff, ByteSize};

/// `[server]`: the process and its HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// Folder for everything that is written.
    pub data_dir: PathBuf,
    /// Largest request body.
    pub body_limit: ByteSize,
    /// How long a stop waits for running work.
    pub drain_timeout: Duration,
    /// Open connections per worker.
    pub max_connections: usize,
    /// Threads that serve HTTP; 0 means one per processor.
    pub workers: usize,
}

/// `[journal]`: messages and their deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// What stores them.
    pub engine: Engine,
    /// When a publisher is answered.
    pub durability: Durability,
    /// How long settled messages and idempotency keys are kept.
    pub retention: Duration,
    /// Size at which publishing is refused.
    pub max_size: ByteSize,
    /// Unsettled messages at which publishing is refused.
    pub max_backlog: u64,
}

/// What stores the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A SQLite file in the data folder.
    Sqlite,
}

/// When a publisher is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After the disk has confirmed.
    Strict,
    /// After the operating system has taken it.
    Relaxed,
}

/// `[trust]`: which plugin files may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The rule.
    pub policy: TrustPolicy,
    /// The file with the hashes of trusted files.
    pub lock_file: PathBuf,
}

/// Which plugin files may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustPolicy {
    /// What is configured.
    Any,
    /// What is configured and stands in the lock file with its hash.
    Locked,
}

/// `[log]`: what the process says on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// Levels, as `tracing-subscriber`'s `EnvFilter` reads them.
    pub filter: String,
    /// Fields to hide beside the built-in ones.
    pub redact_fields: Vec<String>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// `[dispatch]`: how handlers are run where neither they nor the wiring say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Threads of the dispatch runtime, at least 4.
    pub threads: usize,
    /// Attempts before a dead letter.
    pub max_attempts: u32,
    /// Panics of one message before a dead letter.
    pub max_crashes: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Deliveries of one handler at once.
    pub concurrency: u32,
}

/// `[egress]`: HTTP calls that plugins make through the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// The whole call.
    pub timeout: Duration,
    /// The part of it that opens a connection.
    pub connect_timeout: Duration,
    /// Largest answer.
    pub max_response: ByteSize,
    /// Idle connections kept per host.
    pub pool_per_host: usize,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
}

impl Server {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            listen: from.get("listen"),
            data_dir: from.path(from.get("data_dir")),
            body_limit: from.get("body_limit"),
            drain_timeout: from.get("drain_timeout"),
            max_connections: from.at_least("max_connections", 1),
            workers: from.get("workers"),
        }
    }
}

impl Journal {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            engine: from.get("engine"),
            durability: from.get("durability"),
            retention: from.positive("retention"),
            max_size: from.get("max_size"),
            max_backlog: from.at_least("max_backlog", 1),
        }
    }
}

impl Trust {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            policy: from.get("policy"),
            lock_file: from.path(from.get("lock_file")),
        }
    }
}

impl Log {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            format: from.get("format"),
            filter: from.get("filter"),
            redact_fields: from.get("redact_fields"),
        }
    }
}

impl Dispatch {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            threads: from.at_least("threads", 4),
            max_attempts: from.at_least("max_attempts", 1),
            max_crashes: from.at_least("max_crashes", 1),
            backoff: from.get("backoff"),
            timeout: from.positive("timeout"),
            concurrency: from.at_least("concurrency", 1),
        }
    }
}

impl Egress {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        Self {
            timeout: from.positive("timeout"),
            connect_timeout: from.positive("connect_timeout"),
            max_response: from.get("max_response"),
            pool_per_host: from.get("pool_per_host"),
            pool_idle: from.get("pool_idle"),
        }
    }
}

impl Setting for Engine {
    const EXPECTED: &'static str = "\"sqlite\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        (raw.text()? == "sqlite").then_some(Self::Sqlite)
    }
}

impl Setting for Durability {
    const EXPECTED: &'static str = "\"strict\" or \"relaxed\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "strict" => Some(Self::Strict),
            "relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }
}

impl Setting for TrustPolicy {
    const EXPECTED: &'static str = "\"locked\" or \"any\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "locked" => Some(Self::Locked),
            "any" => Some(Self::Any),
            _ => None,
        }
    }
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "\"human\" or \"json\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}
