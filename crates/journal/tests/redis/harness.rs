//! The Redis engine for the suite: a server that the tests of a process share, a prefix and a user for each test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use coordinator_journal::redis::{RedisJournal, RedisOptions};
use coordinator_journal::{Durability, Journal, Limits, ManualClock};
use coordinator_message::Timestamp;

use crate::conformance::Harness;
use crate::server::{Server, Settings};

/// A server that is there as long as some test uses it.
pub(crate) struct Shared(Mutex<Weak<Server>>);

/// With the settings that a server should have.
pub(crate) static PLAIN: Shared = Shared(Mutex::new(Weak::new()));
/// The same in cluster mode: no command and no script may touch two tags.
pub(crate) static CLUSTER: Shared = Shared(Mutex::new(Weak::new()));

/// A prefix on a server, and a clock.
pub(crate) struct RedisHarness {
    server: Arc<Server>,
    clock: Arc<ManualClock>,
    name: String,
    partitions: u32,
    much: usize,
}

impl Shared {
    fn get(&self, cluster: bool) -> Arc<Server> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::start(Settings {
                cluster,
                ..Settings::default()
            }));
            *shared = Arc::downgrade(&server);
            server
        })
    }
}

impl RedisHarness {
    /// On the plain server, a lane in one stream.
    pub(crate) fn plain() -> Self {
        Self::on(PLAIN.get(false), 1)
    }

    /// On the server in cluster mode, a lane in four streams.
    pub(crate) fn cluster() -> Self {
        Self::on(CLUSTER.get(true), 4)
    }

    /// On the plain server, with every batch appended before it is judged, as large ones are.
    pub(crate) fn ahead() -> Self {
        let mut harness = Self::plain();
        harness.much = 0;
        harness
    }

    /// On a server of its own, or on one that other harnesses use.
    pub(crate) fn on(server: Arc<Server>, partitions: u32) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.command(&[
            "ACL", "SETUSER", &name, "on", ">secret", "~*", "&*", "+@all",
        ]);
        Self {
            server,
            clock: Arc::new(ManualClock::new(Timestamp::now())),
            name,
            partitions,
            much: RedisOptions::MUCH,
        }
    }

    pub(crate) fn options(&self, limits: Limits) -> RedisOptions {
        RedisOptions {
            url: self.server.url_of(&self.name, "secret"),
            prefix: self.name.clone(),
            partitions: self.partitions,
            durability: Durability::Strict,
            asserted: false,
            limits,
            clock: self.clock.clone(),
            // Nodes of a test end by the test's hand, not by time.
            node_timeout: Duration::from_secs(60),
            much: self.much,
        }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Changes what its user may do.
    pub(crate) fn may(&self, rule: &str) {
        self.server.command(&["ACL", "SETUSER", &self.name, rule]);
    }

    /// The keys that begin with its prefix.
    pub(crate) fn keys(&self, rest: &str) -> Vec<String> {
        let found = self
            .server
            .command(&["KEYS", &format!("{{{}{rest}", self.name)]);
        let keys = found.lines().filter(|line| line.starts_with('{'));
        keys.map(str::to_owned).collect()
    }
}

impl Drop for RedisHarness {
    fn drop(&mut self) {
        // The server may be frozen or gone in a test that failed: it ends with its user then.
        if !std::thread::panicking() {
            self.server.command(&["ACL", "DELUSER", &self.name]);
        }
    }
}

#[async_trait]
impl Harness for RedisHarness {
    async fn open(&self, limits: Limits) -> Box<dyn Journal> {
        Box::new(RedisJournal::open(self.options(limits)).await.unwrap())
    }

    fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    async fn break_writes(&self) {
        self.may("-@write");
    }

    async fn mend_writes(&self) {
        self.may("+@all");
    }

    /// Its heartbeats are ended at once, as they would be after the timeout.
    async fn crash(&self, journal: Box<dyn Journal>) {
        drop(journal);
        for heartbeat in self.keys("/*}:n:*") {
            self.server.command(&["DEL", &heartbeat]);
        }
    }

    async fn another(&self) -> Box<dyn Harness> {
        let mut another = Self::on(self.server.clone(), self.partitions);
        another.clock = self.clock.clone();
        another.much = self.much;
        Box::new(another)
    }

    fn nodes(&self) -> usize {
        2
    }
}
