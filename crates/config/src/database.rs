//! `[database]` and `[cache]`: what hosts keep and share beside the journal. Each setting is explained in
//! `default.toml`.

use std::path::Path;
use std::time::Duration;

use crate::reader::Reader;
use crate::secret::Secret;
use crate::size::ByteSize;

/// A file in the data folder, unless another place is named.
const FILE: &str = "coordinator.db";
/// A value may have 1 MiB: less than this keeps a few of them at best.
const MIN_CACHE: u64 = 1 << 20;
/// The key prefix goes into every key of the server.
const MAX_PREFIX: usize = 64;

/// `[database]`: installed plugins, overrides and the audit log.
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite://PATH`, the path as it is to be opened, or `mysql://…`.
    pub url: Secret,
    /// Connections at most.
    pub max_connections: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// `[cache]`: what plugins keep for a while, and locks.
#[derive(Debug, Clone)]
pub struct Cache {
    /// `memory:` or `redis://…`.
    pub url: Secret,
    /// What every key of the server begins with.
    pub prefix: String,
    /// Bytes that memory keeps at most.
    pub max_size: ByteSize,
    /// Connections to the server at most.
    pub max_connections: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Database {
    pub(crate) fn read(from: &Reader<'_>, data_dir: &Path) -> Self {
        let url = from.secret_url("url", false);
        let url = url.map_or_else(
            || file_url(&data_dir.join(FILE)),
            |url| match url.expose().split_once("://") {
                Some(("sqlite", path)) => file_url(&from.path(path.to_owned())),
                Some(("mysql" | "mariadb", _)) => url,
                _ => {
                    from.reject_unseen("url", "expected \"sqlite://PATH\" or \"mysql://…\"");
                    url
                }
            },
        );
        Self {
            url,
            // One holds the lock of a migration while another makes the tables.
            max_connections: from.at_least("max_connections", 2),
            timeout: from.positive("timeout"),
        }
    }
}

impl Cache {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let url = from
            .secret_url("url", true)
            .unwrap_or_else(|| Secret::new("memory:"));
        if url.expose() != "memory:" && !url.expose().starts_with("redis://") {
            from.reject_unseen("url", "expected \"memory:\" or \"redis://…\"");
        }
        let prefix: String = from.get("prefix");
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(plain) {
            let problem = format!("expected 1 to {MAX_PREFIX} letters, digits, dashes and dots");
            from.reject("prefix", &problem);
        }
        Self {
            url,
            prefix,
            max_size: from.at_least("max_size", ByteSize::new(MIN_CACHE)),
            max_connections: from.at_least("max_connections", 1),
            timeout: from.positive("timeout"),
        }
    }
}

fn file_url(path: &Path) -> Secret {
    Secret::new(format!("sqlite://{}", path.display()))
}
