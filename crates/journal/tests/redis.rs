//! The Redis engine keeps what every engine promises, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "redis/server.rs"]
mod server;

use server::{Server, Settings};

#[test]
fn a_server_starts_is_killed_and_comes_back() {
    for cluster in [false, true] {
        let server = Server::start(Settings { cluster, ..Settings::default() });
        server.command(&["SET", "a", "1"]);
        server.freeze();
        server.thaw();
        server.kill();
        server.restart();
        assert!(server.command(&["GET", "a"]).contains("1"));
        println!("{} {}", server.url(), server.url_of("a", "b"));
    }
}
