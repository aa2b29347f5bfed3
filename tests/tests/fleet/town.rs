//! The servers that hosts share, and houses on them.

use std::process::Command;

use coordinator_tests::{Builder, TestHouse};

use crate::{mariadb, redis};

/// One database, and one Redis for journal and cache.
pub(crate) struct Town {
    pub(crate) redis: redis::Server,
    database: mariadb::Server,
}

impl Town {
    pub(crate) fn new() -> Self {
        let database = mariadb::Server::start();
        let port = database.url().rsplit(':').next().unwrap().to_owned();
        let made = Command::new("mariadb")
            .args(["--no-defaults", "--host=127.0.0.1", "--user=root"])
            .args([&format!("--port={port}"), "--execute=CREATE DATABASE shop"])
            .status();
        assert!(made.unwrap().success());
        Self {
            redis: redis(),
            database,
        }
    }

    /// A host on all of it; it loads any plugin.
    pub(crate) fn host(&self) -> Builder {
        let (database, cache) = (self.database.url(), self.redis.url());
        TestHouse::builder()
            .config("[trust]\npolicy = \"any\"")
            .config(&format!("[database]\nurl = \"{database}/shop\""))
            .config(&format!("[cache]\nurl = \"{cache}/1\""))
            .config(&on(&self.redis))
    }
}

/// A server that syncs every write.
pub(crate) fn redis() -> redis::Server {
    redis::Server::start(redis::Settings::default())
}

/// The journal is on this server.
pub(crate) fn on(redis: &redis::Server) -> String {
    format!(
        "[journal]\nengine = \"redis\"\nmax_backlog = 5\n[journal.redis]\nurl = \"{}/0\"\nnode_timeout = \"1500ms\"",
        redis.url()
    )
}

/// The journal is in the house.
pub(crate) fn sqlite() -> String {
    "[journal]\nmax_backlog = 5".to_owned()
}
