//! Several hosts on one database, one journal and one cache; and what waits when a handler is gone, or a server is away
//! in the middle of a change.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bringing;
mod leaving;
#[expect(dead_code, reason = "the server has more hands than this test needs")]
#[path = "../../../crates/store/tests/stores/server.rs"]
mod mariadb;
mod outage;
#[expect(dead_code, reason = "the server has more hands than this test needs")]
#[path = "../../../crates/journal/tests/redis/server.rs"]
mod redis;
mod sharing;
#[expect(dead_code, reason = "it is the stage of the changes of one host")]
#[path = "../live/stage.rs"]
mod stage;
mod town;
