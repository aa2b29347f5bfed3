//! Messages whose time has come go into their log. Any node may do it, and twice is once.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use coordinator_message::Timestamp;
use futures_util::future::join_all;

use super::append::{APART, LOG, TOGETHER};
use super::error::StoreError;
use super::keys;
use super::link::{Lazy, Script};
use super::shard::Shard;
use super::state::{ABREAST, Shared};
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
    let mut looked: Option<Instant> = None;
    loop {
        let shards = if looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
            looked = Some(Instant::now());
            shared.shards.all()
        } else {
            due(&shared)
        };
        let mut outcome = Ok(());
        for some in shards.chunks(ABREAST) {
            let steps = some.iter().map(|shard| promote(&shared, shard));
            outcome = join_all(steps).await.into_iter().fold(outcome, Result::and);
        }
        let failed = outcome.is_err();
        trouble.note(outcome);
        let next = shared
            .shards
            .all()
            .iter()
            .filter_map(|shard| shard.delayed())
            .min();
        let soon = async {
            match next {
                Some(due) if !failed => shared.clock.sleep_until(due).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = soon => {}
            () = shared.delayed.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = shared.closing() => return,
        }
    }
}

/// The shards in which something is due, as far as this node knows.
fn due(shared: &Shared) -> Vec<Arc<Shard>> {
    let now = shared.clock.now();
    let mut shards = shared.shards.all();
    shards.retain(|shard| shard.delayed().is_some_and(|due| due <= now));
    shards
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
        call.arg(now.as_millis()).arg(shared.teller());
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
