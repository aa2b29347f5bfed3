//! `[journal]`: messages and their deliveries. Each setting is explained in `default.toml`.

use std::time::Duration;

use crate::ByteSize;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::value::{Raw, Setting};

/// The key prefix goes into every key of the server.
const MAX_PREFIX: usize = 64;
/// Each partition is a stream per lane: more than this are more than any server has cores for.
const MAX_PARTITIONS: u32 = 256;
/// A node that pauses for less is not taken for dead.
const MIN_NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// `[journal]`: messages and their deliveries.
#[derive(Debug, Clone)]
pub struct Journal {
    /// What stores them.
    pub engine: Engine,
    /// When a publisher is answered.
    pub durability: Durability,
    /// How long settled messages and idempotency keys are kept.
    pub retention: Duration,
    /// Bytes of settled messages that are kept at most.
    pub retention_size: ByteSize,
    /// What becomes of the payload of a settled message.
    pub payloads: Payloads,
    /// Size at which publishing is refused.
    pub max_size: ByteSize,
    /// Unsettled messages at which publishing is refused.
    pub max_backlog: u64,
    /// `[journal.redis]`: read whichever engine is on, so that a journal can be moved.
    pub redis: RedisJournal,
}

/// `[journal.redis]`: the server of the engine `redis`.
#[derive(Debug, Clone)]
pub struct RedisJournal {
    /// Where it is. Given, if the engine is `redis`.
    pub url: Option<Secret>,
    /// Every key begins with it.
    pub prefix: String,
    /// Streams per lane.
    pub partitions: u32,
    /// A node that is silent for this long is taken for dead.
    pub node_timeout: Duration,
    /// The operator states that the server syncs every write, where it does not tell.
    pub assume_synced: bool,
}

/// What stores the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A SQLite file in the data folder.
    Sqlite,
    /// A Redis server, which several nodes share.
    Redis,
}

/// When a publisher is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After the disk has confirmed.
    Strict,
    /// After the operating system has taken it.
    Relaxed,
}

/// What becomes of the payload of a settled message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// Kept for the retention.
    Retained,
    /// Dropped soon after every handler has settled its message.
    UntilSettled,
}

impl Journal {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let engine = from.get("engine");
        let max_size: ByteSize = from.get("max_size");
        let redis = from.section("redis", |from| RedisJournal::read(from, engine));
        Self {
            engine,
            durability: from.get("durability"),
            retention: from.positive("retention"),
            retention_size: retention_size(from, max_size),
            payloads: from.get("payloads"),
            max_size,
            max_backlog: from.at_least("max_backlog", 1),
            redis,
        }
    }
}

/// Settled messages alone must not fill the journal: what is new would be refused for what is done with.
fn retention_size(from: &Reader<'_>, max_size: ByteSize) -> ByteSize {
    let Some(size) = from.optional::<ByteSize>("retention_size") else {
        return ByteSize::new(max_size.bytes() / 4 * 3);
    };
    if size > max_size {
        let problem = format!("expected no more than `journal.max_size`, {max_size}");
        from.reject("retention_size", &problem);
    }
    size
}

impl RedisJournal {
    fn read(from: &Reader<'_>, engine: Engine) -> Self {
        let url = from.secret_url("url", engine == Engine::Redis);
        let prefix: String = from.get("prefix");
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(plain) {
            let problem =
                format!("expected 1 to {MAX_PREFIX} letters, digits, dashes, dots and colons");
            from.reject("prefix", &problem);
        }
        let partitions = from.at_least("partitions", 1);
        if partitions > MAX_PARTITIONS {
            from.reject("partitions", &format!("expected at most {MAX_PARTITIONS}"));
        }
        let node_timeout = from.positive("node_timeout");
        if node_timeout < MIN_NODE_TIMEOUT {
            from.reject("node_timeout", "expected at least 1s");
        }
        Self {
            url,
            prefix,
            partitions,
            node_timeout,
            assume_synced: from.get("assume_synced"),
        }
    }
}

impl Setting for Engine {
    const EXPECTED: &'static str = "\"sqlite\" or \"redis\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "sqlite" => Some(Self::Sqlite),
            "redis" => Some(Self::Redis),
            _ => None,
        }
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

impl Setting for Payloads {
    const EXPECTED: &'static str = "\"retained\" or \"until-settled\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "retained" => Some(Self::Retained),
            "until-settled" => Some(Self::UntilSettled),
            _ => None,
        }
    }
}
