//! An engine for one test.

use std::time::{Duration, Instant};

use coordinator_cache::{Cache, CacheOptions};

use crate::server::{Server, Settings};

/// For something that hangs, not an expectation.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the values are, and those who share them.
pub(crate) struct Stage {
    url: String,
    first: Cache,
    _server: Option<Server>,
}

impl Stage {
    pub(crate) fn memory() -> Self {
        let url = "memory:".to_owned();
        Self {
            first: open(&url),
            url,
            _server: None,
        }
    }

    pub(crate) fn redis() -> Self {
        let server = Server::start(Settings {
            appendfsync: None,
            ..Settings::default()
        });
        Self {
            first: open(&server.url()),
            url: server.url(),
            _server: Some(server),
        }
    }

    /// One of those who share the cache: another host on Redis, another part of this one in memory.
    pub(crate) fn cache(&self) -> Cache {
        match self.url.as_str() {
            "memory:" => self.first.clone(),
            url => open(url),
        }
    }
}

pub(crate) fn open(url: &str) -> Cache {
    Cache::open(&options(url)).unwrap()
}

pub(crate) fn options(url: &str) -> CacheOptions {
    CacheOptions {
        url: url.to_owned(),
        prefix: "test".to_owned(),
        max_bytes: 16 << 20,
        max_connections: 4,
        timeout: Duration::from_secs(10),
    }
}

/// Asks again until the answer is yes.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What must come, or the test has failed.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it should have come by now")
}
