//! One read of one shard for one handler: what waits and is due, or what is new in the log.

use std::sync::{Arc, LazyLock};

use ::redis::{Value, pipe};
use bytes::Bytes;
use coordinator_message::Timestamp;

use super::codec::Fields;
use super::error::StoreError;
use super::fresh::{discarded, entries_of};
use super::handler::{Bound, Handler};
use super::held::Found;
use super::link::{LIB, Lazy, Script, bytes, items};
use super::state::Shared;
use super::{keys, life, settle};
use crate::digest::Digest;

static ADMIT: Lazy = LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("admit.lua")]));
static LEASE: Lazy = LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("lease.lua")]));

/// Hands out what waits and is due.
pub(super) async fn waiting(
    shared: &Arc<Shared>,
    handler: &Handler,
    bound: &Bound,
    most: usize,
) -> Result<Vec<Found>, StoreError> {
    let shard = &bound.shard;
    let now = shared.clock.now();
    let node = life::alive(shared, shard).await?;
    let mut call = LEASE.with(&shard.keys.of_handler(&handler.name, &node.name));
    call.arg(&*handler.name)
        .arg(&*node.name)
        .arg(now.as_millis())
        .arg(most.min(128))
        .arg(settle::unbound(now));
    let (alive, next, given): (i64, String, Vec<Value>) = shared.hot.call(&LEASE, &call).await?;
    if alive == 0 {
        life::lost(shared, shard, &node);
        return Ok(Vec::new());
    }
    if let Ok(next) = next.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
        handler.due(shard.index, Timestamp::from_millis(next as i64));
    }
    given
        .into_iter()
        .map(|one| leased(one, shard.index, node.number))
        .collect()
}

/// One delivery as `lease.lua` gives it.
fn leased(one: Value, shard: u32, incarnation: u64) -> Result<Found, StoreError> {
    let parts = items(one);
    let text = |index: usize| {
        parts
            .get(index)
            .and_then(|part| std::str::from_utf8(bytes(part)).ok())
    };
    let number = |index| text(index).and_then(|text| text.parse::<u32>().ok());
    let (Some(position), Some(attempts), Some(crashes), Some(replay), Some(fields)) = (
        text(0).and_then(keys::position),
        number(1),
        number(2),
        number(3),
        parts.get(4..6),
    ) else {
        let what = "a delivery that waits is not readable";
        return Err(StoreError::Damaged(what));
    };
    let fields = Fields {
        meta: bytes(&fields[0]).to_vec(),
        data: Bytes::copy_from_slice(bytes(&fields[1])),
    };
    Ok(Found {
        shard,
        position,
        message: fields.decode()?.envelope,
        attempt: attempts + 1,
        crashes,
        replay,
        key: Digest::try_from(fields.key()).ok(),
        first: false,
        incarnation,
    })
}

/// Reads the log for a handler with order. True if there may be more.
pub(super) async fn in_order(
    shared: &Arc<Shared>,
    handler: &Handler,
    bound: &Bound,
    most: usize,
) -> Result<(Vec<Found>, bool), StoreError> {
    let shard = &bound.shard;
    let now = shared.clock.now();
    let node = life::alive(shared, shard).await?;
    let mut keys = shard.keys.of_handler(&handler.name, &node.name);
    keys.push(shard.keys.gone(&handler.name));
    let mut call = ADMIT.with(&keys);
    call.arg(&*handler.name)
        .arg(&*node.name)
        .arg(now.as_millis())
        .arg(most)
        .arg(settle::blocked(now));
    let (alive, more, entries): (i64, i64, Value) = shared.hot.call(&ADMIT, &call).await?;
    if alive == 0 {
        life::lost(shared, shard, &node);
        return Ok((Vec::new(), true));
    }
    let (found, _) = entries_of(shared, handler, bound, &node, items(entries)).await?;
    Ok((found, more == 1))
}

/// Reads the log for a handler without order. True if there may be more.
pub(super) async fn log(
    shared: &Arc<Shared>,
    handler: &Handler,
    bound: &Bound,
    most: usize,
) -> Result<(Vec<Found>, bool), StoreError> {
    let shard = &bound.shard;
    let node = life::alive(shared, shard).await?;
    let mut read = pipe();
    read.cmd("XREADGROUP")
        .arg("GROUP")
        .arg(&*handler.name)
        .arg(&*node.name)
        .arg("COUNT")
        .arg(most)
        .arg("STREAMS")
        .arg(shard.keys.log())
        .arg(">");
    read.cmd("HLEN").arg(shard.keys.gone(&handler.name));
    let (answer, gone): (Value, u64) = shared.hot.pipe(&read).await?;
    // [[stream, [entry, …]]], or nil.
    let stream = items(answer).into_iter().next().map(items);
    let entries = stream.and_then(|mut pair| pair.pop()).map(items);
    let entries = entries.unwrap_or_default();
    let more = entries.len() == most;
    let (mut found, others) = entries_of(shared, handler, bound, &node, entries).await?;
    let gone = if gone > 0 {
        discarded(shared, handler, bound, &mut found).await?
    } else {
        Vec::new()
    };
    if !others.is_empty() || !gone.is_empty() {
        let mut skip = pipe();
        skip.atomic()
            .cmd("XACK")
            .arg(shard.keys.log())
            .arg(&*handler.name)
            .arg(&others)
            .arg(&gone);
        if !gone.is_empty() {
            skip.cmd("HDEL")
                .arg(shard.keys.gone(&handler.name))
                .arg(&gone);
        }
        shared.hot.pipe::<Value>(&skip).await?;
    }
    Ok((found, more))
}
