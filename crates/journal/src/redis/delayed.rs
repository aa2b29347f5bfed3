//! Messages whose time has come go into their log. Any node may do it, and twice is once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use coordinator_message::Timestamp;

use super::error::StoreError;
use super::keys;
use super::link::{Lazy, Script};
use super::publish::{APART, LOG, TOGETHER};
use super::shard::Shard;
use super::state::Shared;
use super::trouble::Trouble;

/// How often what other nodes accepted is looked for.
const EVERY: Duration = Duration::from_secs(1);
/// Messages in one step.
const PAGE: u64 = 128;

const DUE: &str = include_str!("promote.lua");
static PROMOTE: [Lazy; 2] = [
    LazyLock::new(|| Script::new("allow-oom", &[TOGETHER, LOG, DUE])),
    LazyLock::new(|| Script::new("allow-oom", &[APART, LOG, DUE])),
];

/// Runs until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut trouble = Trouble::with("deliver what was delayed");
    loop {
        let mut outcome = Ok(());
        for shard in shared.shards.all() {
            outcome = promote(&shared, &shard).await.and(outcome);
        }
        trouble.note(outcome);
        let next = shared
            .shards
            .all()
            .iter()
            .filter_map(|shard| shard.delayed())
            .min();
        let due = async {
            match next {
                Some(due) => shared.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.delayed.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = shared.closing() => return,
        }
    }
}

/// Moves what is due in one shard.
async fn promote(shared: &Shared, shard: &Shard) -> Result<(), StoreError> {
    loop {
        let keys = &shard.keys;
        let now = shared.clock.now();
        let names = [
            keys.log(),
            keys.counters(),
            keys.types(),
            keys.delayed(),
            keys.delayed_bodies(),
            keys.ids(keys::day(now)),
        ];
        let script = &PROMOTE[shared.apart()];
        let mut call = script.with(&names);
        call.arg(now.as_millis());
        let (moved, next): (u64, String) = shared.hot.call(script, &call).await?;
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
        shard.next_delayed(
            next.parse::<f64>()
                .ok()
                .map(|next| Timestamp::from_millis(next as i64)),
        );
        if moved > 0 {
            for handler in shared.handlers().values() {
                handler.news(shard.index);
            }
        }
        if moved < PAGE {
            return Ok(());
        }
    }
}
