//! What is killed, frozen or cut off while Stripe sends: nothing that was taken is lost.

mod burst;
mod host;
mod nodes;
mod proxy;
mod redis;
#[path = "../../../crates/journal/tests/redis/server.rs"]
#[expect(
    clippy::unwrap_used,
    dead_code,
    reason = "it is the server of the journal's tests"
)]
mod server;
mod servers;
