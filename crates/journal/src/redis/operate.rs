//! What operators do: replay, discard, and control a handler.
//!
//! A batch is one script for each handler in each shard: shards may be on different servers, which no write spans. If
//! one of several fails, what the others did stays done, and the batch may be sent again: what is still to come is not
//! scheduled twice, and what was discarded is not there any more.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ::redis::ToRedisArgs;
use coordinator_message::Timestamp;

use super::codec::pack;
use super::detail::{Found, find};
use super::error::StoreError;
use super::link::{LIB, Lazy, Script};
use super::registry::{self, Registered};
use super::shard::Shard;
use super::state::Shared;
use super::{keys, notify};
use crate::{Control, Discard, Failure, FailureKind, Replay, Replayed};

const OPERATE: &str = include_str!("operate/lib.lua");
static REPLAY: Lazy =
    LazyLock::new(|| Script::new("", &[LIB, OPERATE, include_str!("operate/replay.lua")]));
static DISCARD: Lazy = LazyLock::new(|| {
    Script::new(
        "allow-oom",
        &[LIB, OPERATE, include_str!("operate/discard.lua")],
    )
});
static SKIP: Lazy = LazyLock::new(|| {
    Script::new(
        "allow-oom",
        &[LIB, OPERATE, include_str!("operate/skip.lua")],
    )
});
static CANCEL: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[include_str!("operate/cancel.lua")]));

/// Deliveries that one script changes.
const CHUNK: usize = 64;

/// One delivery that is meant, and by which of the batch.
struct Meant<'a> {
    of: usize,
    found: &'a Found,
    due: Option<Timestamp>,
}

/// Deliveries by shard and handler: one script each.
type ByHandler<'a> = BTreeMap<(u32, &'a str), Vec<Meant<'a>>>;

/// See [`crate::Journal::replay`].
pub(super) async fn replay(
    shared: &Shared,
    batch: Vec<Replay>,
) -> Result<Vec<Replayed>, StoreError> {
    registry::learn_shards(shared).await?;
    let handlers = registry::handlers(shared).await?;
    let mut found = Vec::with_capacity(batch.len());
    for one in &batch {
        found.push(find(shared, &handlers, one.message).await?);
    }
    let mut answers = vec![Replayed::NotFound; batch.len()];
    let mut meant = ByHandler::new();
    for (of, (one, found)) in batch.iter().zip(&found).enumerate() {
        let Some(found) = found else { continue };
        let Some(targets) = targets(&handlers, found, one.handler.as_deref()) else {
            continue;
        };
        answers[of] = Replayed::Scheduled(0);
        // What is delayed is still to come, for everybody.
        for handler in targets.into_iter().filter(|_| !found.entry.delayed) {
            let shard = found.entry.shard.index;
            let due = one.due;
            meant
                .entry((shard, handler))
                .or_default()
                .push(Meant { of, found, due });
        }
    }
    for ((_, handler), meant) in &meant {
        for some in meant.chunks(CHUNK) {
            let scheduled = schedule(shared, handler, some).await?;
            for (one, scheduled) in some.iter().zip(scheduled) {
                answers[one.of] = match (answers[one.of], scheduled) {
                    (Replayed::Scheduled(count), 1) => Replayed::Scheduled(count + 1),
                    (Replayed::Scheduled(0), -1) => Replayed::PayloadDropped,
                    (Replayed::PayloadDropped, 1) => Replayed::Scheduled(1),
                    (before, _) => before,
                };
            }
        }
    }
    Ok(answers)
}

/// The handlers that are meant: all that are bound to the type, or the named one if it is.
fn targets<'a>(
    handlers: &'a BTreeMap<String, Registered>,
    found: &Found,
    name: Option<&str>,
) -> Option<Vec<&'a str>> {
    let bound = |(_, handler): &(&String, &Registered)| {
        let mut types = handler.types.iter();
        types.any(|ty| ty.as_str().as_bytes() == found.entry.fields.ty())
    };
    match name {
        Some(name) => {
            let known = handlers.get_key_value(name).filter(bound)?;
            Some(vec![known.0.as_str()])
        }
        None => Some(
            handlers
                .iter()
                .filter(bound)
                .map(|(id, _)| id.as_str())
                .collect(),
        ),
    }
}

async fn schedule(
    shared: &Shared,
    handler: &str,
    meant: &[Meant<'_>],
) -> Result<Vec<i64>, StoreError> {
    let Some(first) = meant.first() else {
        return Ok(Vec::new());
    };
    let shard = &first.found.entry.shard;
    let mut call = REPLAY.with(&keys_of(shard, handler));
    call.arg(handler).arg(shared.clock.now().as_millis());
    for one in meant {
        let (entry, fields) = (&one.found.entry, &one.found.entry.fields);
        call.arg(keys::pid(entry.position))
            .arg(one.due.unwrap_or_default().as_millis())
            .arg(fields.ty())
            .arg(fields.key());
        // What left the log is delivered from a copy.
        let copy = (!one.found.logged).then(|| pack(&[&fields.meta, &fields.data]));
        call.arg(copy.unwrap_or_default());
    }
    let answers = shared.look.call(&REPLAY, &call).await?;
    shared.poke(shard);
    notify::tell(shared, shard).await;
    Ok(answers)
}

/// See [`crate::Journal::discard`].
pub(super) async fn discard(shared: &Shared, batch: Vec<Discard>) -> Result<Vec<u64>, StoreError> {
    registry::learn_shards(shared).await?;
    let handlers = registry::handlers(shared).await?;
    let mut found = Vec::with_capacity(batch.len());
    for one in &batch {
        found.push(find(shared, &handlers, one.message).await?);
    }
    let mut answers = vec![0; batch.len()];
    let mut meant = ByHandler::new();
    for (of, (one, found)) in batch.iter().zip(&found).enumerate() {
        let Some(found) = found else { continue };
        let shard = &found.entry.shard;
        if found.entry.delayed {
            if one.handler.is_none() {
                answers[of] += cancel(shared, shard, &one.message.as_bytes()[..]).await?;
            }
            continue;
        }
        // Also for handlers that are not bound to the type any more: their dead letters are there.
        for handler in handlers.keys() {
            if one.handler.as_ref().is_none_or(|wanted| wanted == handler) {
                let meant = meant.entry((shard.index, handler.as_str())).or_default();
                meant.push(Meant {
                    of,
                    found,
                    due: None,
                });
            }
        }
    }
    let told = told(shared.clock.now());
    for ((_, handler), meant) in &meant {
        for some in meant.chunks(CHUNK) {
            let shard = &some[0].found.entry.shard;
            let mut call = DISCARD.with(&keys_of(shard, handler));
            call.arg(*handler)
                .arg(shared.clock.now().as_millis())
                .arg(&told);
            for one in some {
                let entry = &one.found.entry;
                call.arg(keys::pid(entry.position))
                    .arg(entry.fields.ty())
                    .arg(entry.fields.key());
            }
            let discarded: Vec<u64> = shared.look.call(&DISCARD, &call).await?;
            for (one, count) in some.iter().zip(discarded) {
                answers[one.of] += count;
            }
            shared.poke(shard);
            notify::tell(shared, shard).await;
        }
    }
    Ok(answers)
}

async fn cancel(shared: &Shared, shard: &Shard, id: impl ToRedisArgs) -> Result<u64, StoreError> {
    let of = &shard.keys;
    let mut call = CANCEL.with(&[of.counters(), of.delayed(), of.delayed_bodies()]);
    call.arg(id);
    shared.look.call(&CANCEL, &call).await
}

/// What the last attempt of a discarded delivery says, as JSON.
fn told(now: Timestamp) -> String {
    let failure = Failure {
        kind: FailureKind::Discarded,
        chain: vec!["discarded by an operator".to_owned()],
        started: now,
        ran_ms: 0,
    };
    serde_json::to_string(&failure).expect("a failure is strings and numbers")
}

/// See [`crate::Journal::control`].
pub(super) async fn control(
    shared: &Shared,
    handler: &str,
    control: Control,
) -> Result<Option<u64>, StoreError> {
    let Some(known) = registry::handler(shared, handler).await? else {
        return Ok(None);
    };
    match control {
        Control::Pause | Control::Resume => {
            let paused = control == Control::Pause;
            let _turn = shared.controls.lock().await;
            registry::pause(shared, handler, paused).await?;
            if let Some(handler) = shared.handler(handler) {
                handler.pause(paused);
            }
            Ok(Some(0))
        }
        Control::Skip => skip(shared, handler, &known).await.map(Some),
    }
}

/// First what was not read, then what is parked, then what waits: what one part frees, a later one settles.
async fn skip(shared: &Shared, handler: &str, known: &Registered) -> Result<u64, StoreError> {
    registry::learn_shards(shared).await?;
    let mut settled = 0;
    for shard in shared.shards.all() {
        if !known.reads(&shard.lane) {
            continue;
        }
        for part in ["unread", "parked", "rows"] {
            let mut from = "0".to_owned();
            loop {
                let (count, next) = skip_some(shared, &shard, handler, (part, &from)).await?;
                settled += count;
                if next == "0" {
                    break;
                }
                from = next;
            }
        }
        shared.poke(&shard);
        notify::tell(shared, &shard).await;
    }
    Ok(settled)
}

async fn skip_some(
    shared: &Shared,
    shard: &Shard,
    handler: &str,
    (part, from): (&str, &str),
) -> Result<(u64, String), StoreError> {
    let mut call = SKIP.with(&keys_of(shard, handler));
    call.arg(handler)
        .arg(shared.clock.now().as_millis())
        .arg(part)
        .arg(from);
    shared.look.call(&SKIP, &call).await
}

/// The keys of `operate/lib.lua`.
pub(super) fn keys_of(shard: &Shard, handler: &str) -> Vec<String> {
    let mut named = shard.keys.of_handler(handler, "");
    named.push(shard.keys.gone(handler));
    named
}
