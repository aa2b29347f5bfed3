//! Retention, by one node at a time, in small steps: each is a script, so that publishing goes on in between.

mod days;
mod gone;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::cmd;
use coordinator_message::Timestamp;

use super::error::StoreError;
use super::link::{Lazy, Script};
use super::registry::{self, Registered};
use super::roles;
use super::settings;
use super::shard::Shard;
use super::state::Shared;
use super::transfer;
use crate::{Failure, FailureKind, Payloads};

static FORGET: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[include_str!("maintain/forget.lua")]));

/// The role of the node that does it.
const ROLE: &str = "journal/maintain";
/// A node that died in the middle of it holds the others up for so long.
const TTL: Duration = Duration::from_secs(120);
/// So long after a start, nothing dies of age: the handlers that were down get their chance first.
const GRACE: Duration = Duration::from_secs(600);
/// Entries or rows of one step.
const STEP: usize = 128;

/// What one round of maintenance goes by.
struct Round<'a> {
    shared: &'a Shared,
    now: Timestamp,
    /// What is not younger is old.
    horizon: Timestamp,
    handlers: BTreeMap<String, Registered>,
    /// The handlers that some node has open.
    open: BTreeSet<String>,
}

/// See [`crate::Journal::maintain`].
pub(super) async fn maintain(shared: &Shared) -> Result<(), StoreError> {
    if !lead(shared).await? {
        return Ok(());
    }
    let done = round(shared).await;
    // If this fails as well, the role ends by itself.
    let resigned = roles::resign(shared, ROLE, &shared.node).await;
    done.and(resigned)
}

/// Takes the role, or keeps it.
async fn lead(shared: &Shared) -> Result<bool, StoreError> {
    let number = roles::lead(shared, ROLE, &shared.node, TTL).await?;
    Ok(number.is_some())
}

async fn round(shared: &Shared) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let retention = shared.limits.retention;
    registry::tidy(shared, now).await?;
    registry::learn_shards(shared).await?;
    let round = Round {
        shared,
        now,
        horizon: now.before(retention),
        handlers: registry::handlers(shared).await?,
        open: registry::open(shared).await?,
    };
    let shards = shared.shards.all();
    for shard in &shards {
        if !lead(shared).await? {
            return Ok(());
        }
        if now >= shared.opened.after(GRACE.min(retention)) {
            round.bury_unread(shard).await?;
            gone::bury(&round, shard).await?;
        }
        sweep::old(&round, shard).await?;
        round.forget(shard).await?;
        days::drop_old(&round, shard).await?;
        if shared.limits.payloads == Payloads::UntilSettled {
            sweep::drop_payloads(&round, shard).await?;
        }
    }
    if shared.moved_keys.load(Ordering::Relaxed) {
        transfer::expire(shared, round.horizon).await?;
        transfer::look(shared).await?;
    }
    sweep::heavy(&round, &shards).await?;
    gone::forget(&round, &shards).await
}

/// See [`crate::Journal::probe`].
pub(super) async fn probe(shared: &Shared) -> Result<(), StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    settings::check_again(shared).await;
    shared.fit()?;
    let mut set = cmd("SET");
    set.arg(shared.global.probe()).arg(1).arg("PX").arg(60_000);
    shared.hot.run(&set).await
}

// === impl Round ===

impl Round<'_> {
    /// What open handlers have not read for longer than the retention, to their dead letters.
    async fn bury_unread(&self, shard: &Arc<Shard>) -> Result<(), StoreError> {
        let failure = unattempted("expired before the handler took it", self.now);
        for (id, known) in &self.handlers {
            if self.open.contains(id) && known.reads(&shard.lane) {
                let upto = self.horizon.as_millis().to_string();
                gone::bury_unread(self, shard, id, (&upto, &failure)).await?;
            }
        }
        Ok(())
    }

    /// Dead letters and attempts that are too old.
    async fn forget(&self, shard: &Shard) -> Result<(), StoreError> {
        let of = &shard.keys;
        let mut named = vec![
            of.log(),
            of.counters(),
            of.dead(),
            of.dead_times(),
            of.attempts(),
            of.attempt_times(),
            of.replays(),
            of.copies(),
        ];
        named.extend(self.handlers.keys().map(|id| of.rows(id)));
        loop {
            let mut call = FORGET.with(&named);
            call.arg(self.horizon.as_millis())
                .arg(STEP)
                .arg(self.handlers.len());
            for id in self.handlers.keys() {
                call.arg(id);
            }
            let more: bool = self.shared.look.call(&FORGET, &call).await?;
            if !more {
                return Ok(());
            }
        }
    }
}

/// Why a message dies that no attempt killed, as JSON.
fn unattempted(reason: &str, now: Timestamp) -> String {
    let failure = Failure {
        kind: FailureKind::Expired,
        chain: vec![reason.to_owned()],
        started: now,
        ran_ms: 0,
    };
    serde_json::to_string(&failure).expect("a failure is strings and numbers")
}
