//! Ids and idempotency keys, which are dropped by the day, and the ids of what outlives its day.

use std::sync::{Arc, LazyLock};

use ::redis::{Value, cmd};
use coordinator_message::Timestamp;

use super::{Round, STEP};
use crate::redis::browse::merge::id as entry_id;
use crate::redis::entries;
use crate::redis::error::StoreError;
use crate::redis::keys;
use crate::redis::link::{Lazy, Script};
use crate::redis::shard::Shard;

static OUTLIVED: Lazy = LazyLock::new(|| Script::new("allow-oom", &[include_str!("outlived.lua")]));

/// Days that are looked for at most when nobody knows which were dropped.
const MOST: i64 = 1000;

/// Drops the days before the retention, once what is still in the log from there can be found otherwise.
pub(super) async fn drop_old(round: &Round<'_>, shard: &Arc<Shard>) -> Result<(), StoreError> {
    let look = &round.shared.look;
    let first_kept = keys::day(round.horizon);
    let counters = shard.keys.counters();
    let dropped: Option<i64> = look.run(cmd("HGET").arg(&counters).arg("day")).await?;
    let last = first_kept - 1;
    if dropped.is_none_or(|dropped| dropped < last) {
        keep(round, shard, first_kept).await?;
        let from = dropped.map_or(last, |dropped| dropped + 1).max(last - MOST);
        for day in from..=last {
            let mut unlink = cmd("UNLINK");
            unlink
                .arg(shard.keys.ids(day))
                .arg(shard.keys.idempotency(day));
            look.run::<()>(&unlink).await?;
        }
        look.run::<()>(cmd("HSET").arg(&counters).arg("day").arg(last))
            .await?;
    }
    forget(round, shard).await
}

/// Remembers the ids of entries that are older than the first day that is kept.
async fn keep(round: &Round<'_>, shard: &Arc<Shard>, first_kept: i64) -> Result<(), StoreError> {
    let upto = Timestamp::from_millis(first_kept * 86_400_000 - 1);
    let mut from = "-".to_owned();
    loop {
        let mut range = cmd("XRANGE");
        range.arg(shard.keys.log()).arg(&from).arg(upto.as_millis());
        let answer: Value = round.shared.look.run(range.arg("COUNT").arg(STEP)).await?;
        let entries = entries::read(shard, answer)?;
        let mut set = cmd("HSET");
        set.arg(shard.keys.dead());
        for entry in &entries {
            let id = entry.fields.id();
            set.arg([b"#", id].concat()).arg(keys::pid(entry.position));
        }
        match entries.last() {
            Some(last) => {
                round.shared.look.run::<()>(&set).await?;
                from = format!("({}", entry_id(last.position));
            }
            None => return Ok(()),
        }
    }
}

/// Forgets ids that lead nowhere any more.
async fn forget(round: &Round<'_>, shard: &Shard) -> Result<(), StoreError> {
    let of = &shard.keys;
    let mut from = "0".to_owned();
    loop {
        let mut call = OUTLIVED.with(&[of.log(), of.dead(), of.copies()]);
        call.arg(&from);
        for id in round.handlers.keys() {
            call.arg(id);
        }
        from = round.shared.look.call(&OUTLIVED, &call).await?;
        if from == "0" {
            return Ok(());
        }
    }
}
