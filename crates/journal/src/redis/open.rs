//! Opening a handler: its groups and bindings, brought in line with the wiring in every shard that it reads.
//!
//! Each step may be repeated: a crash between two leaves what the next opening goes on from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use super::{feed, keys, leave, life, publish, settle};
use crate::{Deliveries, HandlerSpec, StartFrom};

static BIND: Lazy = LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("bind.lua")]));
static REORDER: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("reorder.lua")]));
static UNBIND: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("unbind.lua")]));

type Lanes = BTreeMap<MessageType, BTreeSet<String>>;
/// A shard, and the handler's types in its lane.
type Place<'a> = (Arc<Shard>, Vec<&'a MessageType>);

/// See [`crate::Journal::open`].
pub(super) async fn open(
    shared: &Arc<Shared>,
    spec: HandlerSpec,
) -> Result<Box<dyn Deliveries>, StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    if let Some(shut) = shared.handler(&spec.id).filter(|known| known.is_shut()) {
        leave::end(shared, &shut).await?;
    }
    let before = registry::handler(shared, &spec.id).await?;
    let lanes = lanes(&spec, before.as_ref());
    let mut places = Vec::new();
    for (lane, types) in by_lane(&lanes) {
        for partition in 0..shared.partitions {
            let shard = publish::shard_at(shared, lane, partition).await?;
            places.push((shard, types.clone()));
        }
    }
    align(shared, &places, &spec, before.as_ref()).await?;
    let paused = before.as_ref().is_some_and(|before| before.paused);
    let registered = Registered {
        types: spec.types.clone(),
        lanes: lanes.clone(),
        order: spec.order,
        paused,
        seen: shared.clock.now(),
    };
    registry::save(shared, &spec.id, &registered).await?;
    let mut bounds = Vec::with_capacity(places.len());
    for (shard, types) in places {
        bounds.push(bound(shared, shard, &spec.id, &types).await?);
    }
    let (handler, new) = of_this_node(shared, &spec.id);
    let generation = handler.bind(spec.order, bounds, shared);
    handler.pause(paused);
    shared.held().remove(&*spec.id);
    shared.is_back(&spec.id);
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

/// The lanes of each type: those that it was in before, too, since what waits there is still for this handler.
fn lanes(spec: &HandlerSpec, before: Option<&Registered>) -> Lanes {
    let mut lanes = spec.lanes.clone();
    for (ty, lanes) in &mut lanes {
        let known = before.and_then(|before| before.lanes.get(ty));
        lanes.extend(known.into_iter().flatten().cloned());
    }
    lanes
}

/// The types of each lane.
fn by_lane(lanes: &Lanes) -> BTreeMap<&str, Vec<&MessageType>> {
    let mut types: BTreeMap<&str, Vec<&MessageType>> = BTreeMap::new();
    for (ty, lanes) in lanes {
        for lane in lanes {
            types.entry(lane).or_default().push(ty);
        }
    }
    types
}

/// Brings what is in the shards in line with the wiring.
async fn align(
    shared: &Arc<Shared>,
    places: &[Place<'_>],
    spec: &HandlerSpec,
    before: Option<&Registered>,
) -> Result<(), StoreError> {
    let reorder = before.is_some_and(|before| before.order != spec.order);
    for (shard, types) in places {
        bind(shared, shard, spec, types, before).await?;
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

/// Binds the types of one shard.
async fn bind(
    shared: &Shared,
    shard: &Shard,
    spec: &HandlerSpec,
    types: &[&MessageType],
    before: Option<&Registered>,
) -> Result<(), StoreError> {
    // A type that was bound before starts at the beginning of a shard that is new: nobody has handled what is there.
    let from = |ty: &MessageType| {
        let known = before.is_some_and(|before| before.types.contains(ty));
        known || spec.from == StartFrom::Earliest
    };
    let earliest = types.iter().any(|ty| from(ty));
    let mut keys = shard.keys.of_handler(&spec.id, &shard.incarnation().name);
    keys.push(shard.keys.types());
    for ty in types.iter().copied() {
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
        if !before.reads(&shard.lane) {
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
    handler: &str,
    types: &[&MessageType],
) -> Result<Bound, StoreError> {
    let mut asked = cmd("HMGET");
    asked.arg(shard.keys.bindings());
    for ty in types {
        asked.arg(format!("{handler}\0{ty}"));
    }
    let found: Vec<Option<String>> = shared.hot.run(&asked).await?;
    let mut starts = HashMap::new();
    for (ty, start) in types.iter().zip(found) {
        let start = start.as_deref().and_then(keys::position);
        let start = start.ok_or(StoreError::Damaged("a binding has no start"))?;
        starts.insert(ty.as_str().as_bytes().to_vec(), start);
    }
    Ok(Bound {
        shard,
        starts: Arc::new(starts),
    })
}
