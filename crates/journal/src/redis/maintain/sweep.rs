//! Settled messages: those that are old, those that are too much, and payloads that are not kept.

use std::sync::{Arc, LazyLock};

use ::redis::{Value, cmd};

use super::{Round, STEP};
use crate::redis::error::StoreError;
use crate::redis::link::{Lazy, Script, bytes, items};
use crate::redis::shard::Shard;

const STANDING: &str = include_str!("standing.lua");
static SWEEP: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[STANDING, include_str!("sweep.lua")]));
static DROP: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[STANDING, include_str!("drop.lua")]));

/// No more bytes than there are.
const ALL: u64 = 1 << 50;

/// One step over a log.
struct Stretch<'a> {
    from: &'a str,
    upto: &'a str,
    most: usize,
    enough: u64,
}

/// Deletes what is old and settled.
pub(super) async fn old(round: &Round<'_>, shard: &Shard) -> Result<(), StoreError> {
    let upto = round.horizon.as_millis().max(0).to_string();
    let mut from = "-".to_owned();
    while !from.is_empty() {
        let stretch = Stretch {
            from: &from,
            upto: &upto,
            most: STEP,
            enough: ALL,
        };
        (from, _) = step(round, shard, stretch).await?;
    }
    Ok(())
}

/// Deletes the oldest settled messages of all shards until what is stored is not more than is to be kept.
pub(super) async fn heavy(round: &Round<'_>, shards: &[Arc<Shard>]) -> Result<(), StoreError> {
    let mut stored = 0;
    for shard in shards {
        let size: Option<u64> = round
            .shared
            .look
            .run(cmd("HGET").arg(shard.keys.counters()).arg("bytes"))
            .await?;
        stored += size.unwrap_or(0);
    }
    let mut excess = stored.saturating_sub(round.shared.limits.retention_size);
    // Where each goes on, by the time of its next entry.
    let mut next = Vec::new();
    for shard in shards {
        next.push((first_after(round, shard, "-").await?, shard, "-".to_owned()));
    }
    while excess > 0 {
        next.retain(|(first, ..)| first.is_some());
        let Some(oldest) = next.iter_mut().min_by_key(|(first, ..)| *first) else {
            return Ok(());
        };
        let stretch = Stretch {
            from: &oldest.2,
            upto: "+",
            most: 16,
            enough: excess,
        };
        let (from, freed) = step(round, oldest.1, stretch).await?;
        excess = excess.saturating_sub(freed);
        oldest.0 = if from.is_empty() {
            None
        } else {
            first_after(round, oldest.1, &from).await?
        };
        oldest.2 = from;
    }
    Ok(())
}

/// When the first entry from here on was written.
async fn first_after(
    round: &Round<'_>,
    shard: &Shard,
    from: &str,
) -> Result<Option<u64>, StoreError> {
    let mut range = cmd("XRANGE");
    range
        .arg(shard.keys.log())
        .arg(from)
        .arg("+")
        .arg("COUNT")
        .arg(1);
    let answer: Value = round.shared.look.run(&range).await?;
    let Some(entry) = items(answer).into_iter().next() else {
        return Ok(None);
    };
    let id = items(entry).into_iter().next();
    let id = id.as_ref().map(bytes).unwrap_or_default();
    let ms = std::str::from_utf8(id)
        .ok()
        .and_then(|id| id.split_once('-'));
    Ok(ms.and_then(|(ms, _)| ms.parse().ok()))
}

/// Answers where to go on, nothing at the end, and how many bytes were freed.
async fn step(
    round: &Round<'_>,
    shard: &Shard,
    stretch: Stretch<'_>,
) -> Result<(String, u64), StoreError> {
    let mut call = SWEEP.with(&keys_of(round, shard));
    call.arg(round.handlers.len());
    for id in round.handlers.keys() {
        call.arg(id);
    }
    call.arg(stretch.from)
        .arg(stretch.upto)
        .arg(stretch.most)
        .arg(stretch.enough);
    round.shared.look.call(&SWEEP, &call).await
}

/// Drops payloads of what every handler has settled.
pub(super) async fn drop_payloads(round: &Round<'_>, shard: &Shard) -> Result<(), StoreError> {
    let mut from = "0".to_owned();
    loop {
        let mut call = DROP.with(&keys_of(round, shard));
        call.arg(round.handlers.len());
        for id in round.handlers.keys() {
            call.arg(id);
        }
        call.arg(&from);
        from = round.shared.look.call(&DROP, &call).await?;
        if from == "0" {
            return Ok(());
        }
    }
}

/// The keys of `standing.lua`.
fn keys_of(round: &Round<'_>, shard: &Shard) -> Vec<String> {
    let of = &shard.keys;
    let mut named = vec![
        of.log(),
        of.counters(),
        of.data(),
        of.children(),
        of.replays(),
        of.dead_times(),
        of.types(),
    ];
    for id in round.handlers.keys() {
        named.extend([of.rows(id), of.parked(id)]);
    }
    named
}
