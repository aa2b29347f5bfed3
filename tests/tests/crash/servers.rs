//! Redis servers, and houses on them.

use coordinator_tests::Builder;

use crate::server::{Server, Settings};

/// How long a host may be silent before the others take over, in milliseconds.
pub(crate) const NODE_TIMEOUT_MS: u64 = 1_500;

/// The kills are ours: no message is to blame for three of them.
pub(crate) const BLAMELESS: &str = "[dispatch]\nmax_crashes = 1000";

/// A server that syncs every write.
pub(crate) fn server() -> Server {
    Server::start(Settings::default())
}

/// A house whose journal is on the server at `port`.
pub(crate) fn on_redis(builder: Builder, port: u16) -> Builder {
    builder.config(&format!(
        "[journal]\nengine = \"redis\"\n[journal.redis]\nurl = \"redis://127.0.0.1:{port}/0\"\n\
         node_timeout = \"{NODE_TIMEOUT_MS}ms\"\n{BLAMELESS}"
    ))
}
