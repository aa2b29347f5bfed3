//! The sections of the host itself. Each setting is explained in `default.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::reader::Reader;
use crate::value::{Raw, Setting};
use crate::{Backoff, Breaker, ByteSize};

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
    /// Panics of one message, or deaths of its host, before a dead letter.
    pub max_crashes: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Deliveries of one handler at once.
    pub concurrency: u32,
    /// When a handler is no longer tried with every message.
    pub breaker: Breaker,
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
            breaker: from.section("breaker", Breaker::read),
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
