//! Opening a handler: its groups and bindings, brought in line with the wiring in every shard that it reads.
//!
//! Each step may be repeated: a crash between two leaves what the next opening goes on from.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use ::redis::cmd;
use coordinator_message::MessageType;

use super::deliveries::RedisDeliveries;
use super::error::StoreError;
use super::handler::{Bound, Handler};
use super::link::{LIB, Lazy, Script};
use super::registry::{self, Registered};
use super::shard::Shard;
use super::state::Shared;
use super::{feed, keys, life, notify, publish, settle};
use crate::{Deliveries, HandlerSpec, StartFrom};

static BIND: Lazy = LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("bind.lua")]));
static REORDER: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("reorder.lua")]));
static UNBIND: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("unbind.lua")]));

/// See [`crate::Journal::open`].
pub(super) async fn open(
    shared: &Arc<Shared>,
    spec: HandlerSpec,
) -> Result<Box<dyn Deliveries>, StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    let before = registry::handler(shared, &spec.id).await?;
    let mut shards = Vec::new();
    for lane in &spec.lanes {
        for partition in 0..shared.partitions {
            shards.push(publish::shard_at(shared, lane, partition).await?);
        }
    }
    align(shared, &shards, &spec, before.as_ref()).await?;
    let paused = before.as_ref().is_some_and(|before| before.paused);
    let registered = Registered {
        types: spec.types.clone(),
        lanes: spec.lanes.clone(),
        order: spec.order,
        paused,
        seen: shared.clock.now(),
    };
    registry::save(shared, &spec.id, &registered).await?;
    let mut bounds = Vec::with_capacity(shards.len());
    for shard in shards {
        shard.watch(|| {
            tokio::spawn(notify::run(shared.clone(), shard.clone()));
        });
        bounds.push(bound(shared, shard.clone(), &spec).await?);
    }
    let (handler, new) = of_this_node(shared, &spec.id);
    let generation = handler.bind(spec.order, bounds, shared);
    handler.pause(paused);
    registry::announce(shared).await?;
    life::take_over(shared, &handler).await?;
    if new {
        shared.spawn(feed::run(shared.clone(), handler.clone()));
    }
    Ok(Box::new(RedisDeliveries {
        shared: shared.clone(),
        handler,
        generation,
    }))
}

/// Brings what is in the shards in line with the wiring.
async fn align(
    shared: &Arc<Shared>,
    shards: &[Arc<Shard>],
    spec: &HandlerSpec,
    before: Option<&Registered>,
) -> Result<(), StoreError> {
    let reorder = before.is_some_and(|before| before.order != spec.order);
    for shard in shards {
        bind(shared, shard, spec, before).await?;
        if reorder {
            let keys = shard.keys.of_handler(&spec.id, &shard.incarnation().name);
            let mut call = REORDER.with(&keys);
            call.arg(&spec.id)
                .arg(shared.clock.now().as_millis())
                .arg(u8::from(spec.order));
            shared.hot.call::<u64>(&REORDER, &call).await?;
        }
    }
    if let Some(before) = before {
        unbind(shared, spec, before).await?;
    }
    Ok(())
}

/// The handler as this node has it, and whether it was not open here before.
fn of_this_node(shared: &Shared, id: &str) -> (Arc<Handler>, bool) {
    let mut handlers = shared.handlers();
    if let Some(known) = handlers.get(id) {
        return (known.clone(), false);
    }
    let handler = Arc::new(Handler::new(id));
    handlers.insert(handler.name.clone(), handler.clone());
    (handler, true)
}

/// Binds every type in one shard.
async fn bind(
    shared: &Shared,
    shard: &Shard,
    spec: &HandlerSpec,
    before: Option<&Registered>,
) -> Result<(), StoreError> {
    // A type that was bound before starts at the beginning of a shard that is new: nobody has handled what is there.
    let from = |ty: &MessageType| {
        let known = before.is_some_and(|before| before.types.contains(ty));
        known || spec.from == StartFrom::Earliest
    };
    let earliest = spec.types.iter().any(from);
    let mut keys = shard.keys.of_handler(&spec.id, &shard.incarnation().name);
    keys.push(shard.keys.types());
    for ty in &spec.types {
        let (mut at, mut seen) = (String::new(), 0_u64);
        loop {
            let mut call = BIND.with(&keys);
            call.arg(&spec.id)
                .arg(ty.as_str())
                .arg(if from(ty) { "earliest" } else { "now" })
                .arg(shared.clock.now().as_millis())
                .arg(&at)
                .arg(seen)
                .arg(u8::from(spec.order))
                .arg(u8::from(earliest));
            (at, seen) = shared.hot.call(&BIND, &call).await?;
            if at.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// Gives up what is left of the types that it is not bound to any more.
async fn unbind(
    shared: &Arc<Shared>,
    spec: &HandlerSpec,
    before: &Registered,
) -> Result<(), StoreError> {
    let gone: BTreeSet<&MessageType> = before
        .types
        .iter()
        .filter(|ty| !spec.types.contains(ty))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    registry::learn_shards(shared).await?;
    for shard in shared.shards.all() {
        if !before.lanes.contains(&shard.lane) {
            continue;
        }
        let mut keys = shard.keys.of_handler(&spec.id, &shard.incarnation().name);
        keys.push(shard.keys.types());
        for ty in &gone {
            let (mut step, mut at) = ("rows".to_owned(), "0".to_owned());
            while !step.is_empty() {
                let now = shared.clock.now();
                let mut call = UNBIND.with(&keys);
                call.arg(&spec.id)
                    .arg(ty.as_str())
                    .arg(now.as_millis())
                    .arg(settle::unbound(now))
                    .arg(&step)
                    .arg(&at);
                (step, at) = shared.hot.call(&UNBIND, &call).await?;
            }
        }
    }
    Ok(())
}

/// Where the bindings of one shard start.
async fn bound(
    shared: &Shared,
    shard: Arc<Shard>,
    spec: &HandlerSpec,
) -> Result<Bound, StoreError> {
    let mut starts = cmd("HMGET");
    starts.arg(shard.keys.bindings());
    for ty in &spec.types {
        starts.arg(format!("{}\0{ty}", spec.id));
    }
    let found: Vec<Option<String>> = if spec.types.is_empty() {
        Vec::new()
    } else {
        shared.hot.run(&starts).await?
    };
    let mut starts = HashMap::new();
    for (ty, start) in spec.types.iter().zip(found) {
        let start = start.as_deref().and_then(keys::position);
        let start = start.ok_or(StoreError::Damaged("a binding has no start"))?;
        starts.insert(ty.as_str().as_bytes().to_vec(), start);
    }
    Ok(Bound {
        shard,
        starts: Arc::new(starts),
    })
}
