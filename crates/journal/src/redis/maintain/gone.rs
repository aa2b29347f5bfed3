//! Deliveries that nobody will take any more, to the dead letters: by age, and of handlers that left the wiring.

use std::sync::{Arc, LazyLock};

use ::redis::cmd;

use super::{Round, STEP, unattempted};
use crate::redis::error::StoreError;
use crate::redis::link::{LIB, Lazy, Script};
use crate::redis::operate::keys_of;
use crate::redis::registry;
use crate::redis::shard::Shard;

const OPERATE: &str = include_str!("../operate/lib.lua");
// A full server is made room on by this.
static EXPIRE: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, OPERATE, include_str!("expire.lua")]));
static REMOVE: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, OPERATE, include_str!("remove.lua")]));

/// What one handler has not read, up to a time in milliseconds or `+`.
pub(super) async fn bury_unread(
    round: &Round<'_>,
    shard: &Arc<Shard>,
    handler: &str,
    (upto, failure): (&str, &str),
) -> Result<(), StoreError> {
    loop {
        let mut call = EXPIRE.with(&keys_of(shard, handler));
        call.arg(handler)
            .arg(round.now.as_millis())
            .arg(failure)
            .arg(upto)
            .arg(STEP);
        let went_over: usize = round.shared.look.call(&EXPIRE, &call).await?;
        if went_over < STEP {
            return Ok(());
        }
    }
}

/// What handlers that left the wiring had not settled.
pub(super) async fn bury(round: &Round<'_>, shard: &Arc<Shard>) -> Result<(), StoreError> {
    let failure = unattempted("handler removed", round.now);
    for id in left(round) {
        bury_unread(round, shard, id, ("+", &failure)).await?;
        loop {
            let mut named = keys_of(shard, id);
            named.push(shard.keys.types());
            let mut call = REMOVE.with(&named);
            call.arg(id).arg(round.now.as_millis()).arg(&failure);
            let more: bool = round.shared.look.call(&REMOVE, &call).await?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Forgets handlers that left the wiring and have no dead letters any more.
pub(super) async fn forget(round: &Round<'_>, shards: &[Arc<Shard>]) -> Result<(), StoreError> {
    for id in left(round) {
        let name = format!("d:{id}");
        let mut dead = 0;
        for shard in shards {
            let counters = shard.keys.counters();
            let count: Option<i64> = round
                .shared
                .look
                .run(cmd("HGET").arg(counters).arg(&name))
                .await?;
            dead += count.unwrap_or(0);
        }
        let unsettled = unsettled(round, shards, id).await?;
        if dead > 0 || unsettled > 0 {
            continue;
        }
        for shard in shards {
            let counters = shard.keys.counters();
            round
                .shared
                .look
                .run::<()>(cmd("HDEL").arg(counters).arg(&name))
                .await?;
        }
        registry::remove(round.shared, id).await?;
    }
    Ok(())
}

/// What is left of it: nothing, unless this node has been open for too short a time to bury it.
async fn unsettled(round: &Round<'_>, shards: &[Arc<Shard>], id: &str) -> Result<i64, StoreError> {
    let mut unsettled = 0;
    for shard in shards {
        let counters = shard.keys.counters();
        let name = format!("u:{id}");
        let count: Option<i64> = round
            .shared
            .look
            .run(cmd("HGET").arg(counters).arg(name))
            .await?;
        unsettled += count.unwrap_or(0);
    }
    Ok(unsettled)
}

/// Handlers that no node had open for one retention.
fn left<'a>(round: &'a Round<'_>) -> impl Iterator<Item = &'a str> {
    let gone = round
        .handlers
        .iter()
        .filter(|(id, known)| !round.open.contains(*id) && known.seen <= round.horizon);
    gone.map(|(id, _)| id.as_str())
}
