//! Entries of the log as deliveries.

use std::collections::{BTreeSet, HashMap};

use ::redis::{Value, cmd};

use super::error::StoreError;
use super::handler::{Bound, Handler};
use super::held::Found;
use super::link::{bytes, items};
use super::shard::Incarnation;
use super::state::Shared;
use super::{codec, keys};
use crate::digest::Digest;

/// Takes out those that were discarded before they were read, and answers their pids.
pub(super) async fn discarded(
    shared: &Shared,
    handler: &Handler,
    bound: &Bound,
    found: &mut Vec<Found>,
) -> Result<Vec<String>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut marks = cmd("HMGET");
    marks.arg(bound.shard.keys.gone(&handler.name));
    for one in found.iter() {
        marks.arg(keys::pid(one.position));
    }
    let marks: Vec<Option<String>> = shared.hot.run(&marks).await?;
    let mut marks = marks.into_iter();
    let mut gone = Vec::new();
    found.retain(|one| {
        let marked = marks.next().flatten().is_some();
        if marked {
            gone.push(keys::pid(one.position));
        }
        !marked
    });
    Ok(gone)
}

/// Entries of the log as what is handed out, and the ids of those that the handler is not bound to.
pub(super) async fn entries_of(
    shared: &Shared,
    handler: &Handler,
    bound: &Bound,
    node: &Incarnation,
    entries: Vec<Value>,
) -> Result<(Vec<Found>, Vec<String>), StoreError> {
    let damaged = || StoreError::Damaged("an entry of the log is not readable");
    let mut read = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut pair = items(entry).into_iter();
        let (id, fields) = pair.next().zip(pair.next()).ok_or_else(damaged)?;
        let id = std::str::from_utf8(bytes(&id)).ok();
        let position = id.and_then(keys::position).ok_or_else(damaged)?;
        let Ok([_, meta, _, payload]) = <[Value; 4]>::try_from(items(fields)) else {
            return Err(damaged());
        };
        read.push((position, meta, payload));
    }
    let types = read.iter().map(|(_, meta, _)| codec::start(bytes(meta)));
    let types: Option<Vec<_>> = types.map(|start| Some(start?.ty)).collect();
    let elsewhere = bound_elsewhere(shared, handler, bound, &types.ok_or_else(damaged)?).await?;
    let (mut found, mut others) = (Vec::with_capacity(read.len()), Vec::new());
    for (position, meta, payload) in read {
        let meta = bytes(&meta);
        let begin = codec::start(meta).ok_or_else(damaged)?;
        let start = bound.starts.get(begin.ty);
        let start = start.or_else(|| elsewhere.get(begin.ty));
        if start.is_none_or(|start| position <= *start) {
            others.push(keys::pid(position));
            continue;
        }
        let data = match payload {
            Value::BulkString(data) if !data.is_empty() => data,
            _ => {
                let mut stored = cmd("HGET");
                stored.arg(bound.shard.keys.data()).arg(keys::pid(position));
                let data: Option<Vec<u8>> = shared.hot.run(&stored).await?;
                data.unwrap_or_default()
            }
        };
        let stored = codec::decode(meta, data.into())?;
        found.push(Found {
            shard: bound.shard.index,
            position,
            message: stored.envelope,
            attempt: 1,
            crashes: 0,
            replay: 0,
            key: Digest::try_from(begin.key).ok(),
            first: true,
            incarnation: node.number,
        });
    }
    Ok((found, others))
}

/// Bindings that another node made since this one opened the handler: what they are for is not skipped.
async fn bound_elsewhere(
    shared: &Shared,
    handler: &Handler,
    bound: &Bound,
    types: &[&[u8]],
) -> Result<HashMap<Vec<u8>, u64>, StoreError> {
    let unknown: BTreeSet<&[u8]> = types
        .iter()
        .copied()
        .filter(|ty| !bound.starts.contains_key(*ty))
        .collect();
    if unknown.is_empty() {
        return Ok(HashMap::new());
    }
    let mut starts = cmd("HMGET");
    starts.arg(bound.shard.keys.bindings());
    for ty in &unknown {
        starts.arg([handler.name.as_bytes(), b"\0", ty].concat());
    }
    let found: Vec<Option<String>> = shared.hot.run(&starts).await?;
    let start =
        |(ty, start): (&[u8], Option<String>)| Some((ty.to_vec(), keys::position(&start?)?));
    Ok(unknown.into_iter().zip(found).filter_map(start).collect())
}
