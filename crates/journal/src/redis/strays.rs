//! What the server gave this node in an answer that never came.
//!
//! A read changes what the server knows: what it gave is this node's. If the connection ends before the answer, the
//! node is alive, holds the delivery, and does not know of it, so nobody would ever hand it out. So after a failed read
//! the two are compared, before the next one.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use ::redis::{Value, cmd};
use tracing::info;

use super::error::StoreError;
use super::handler::{Bound, Handler};
use super::keys;
use super::link::{LIB, Lazy, Script, bytes, items};
use super::state::Shared;

static STRAYS: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("strays.lua")]));

/// Most entries of one step.
const STEP: usize = 128;

/// Gives back what this node holds of a handler in one shard and does not know of. No read of it may be under way.
pub(super) async fn give_back(
    shared: &Arc<Shared>,
    handler: &Handler,
    bound: &Bound,
) -> Result<(), StoreError> {
    let shard = &bound.shard;
    let node = shard.incarnation();
    if !node.alive {
        return Ok(());
    }
    // The server's side first: what comes to be known meanwhile is known.
    let mut ids = pending(shared, handler, bound, &node.name).await?;
    ids.extend(owned(shared, handler, bound, &node.name).await?);
    let known = handler.holds(shard.index);
    ids.retain(|id| keys::position(id).is_some_and(|position| !known.contains(&position)));
    let mut keys = shard.keys.of_handler(&handler.name, &node.name);
    keys.push(shard.keys.gone(&handler.name));
    let mut moved = 0;
    for step in ids.chunks(STEP) {
        let mut call = STRAYS.with(&keys);
        call.arg(&*handler.name)
            .arg(&*node.name)
            .arg(shared.clock.now().as_millis());
        for id in step {
            call.arg(id);
        }
        moved += shared.hot.call::<u64>(&STRAYS, &call).await?;
    }
    if moved > 0 {
        info!(
            handler = &*handler.name,
            moved, "deliveries whose answer was lost on its way are handed out again"
        );
    }
    Ok(())
}

/// First attempts that the server says this node has.
async fn pending(
    shared: &Shared,
    handler: &Handler,
    bound: &Bound,
    node: &str,
) -> Result<Vec<String>, StoreError> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let from = ids.last().map_or("-".to_owned(), |last| format!("({last}"));
        let mut pending = cmd("XPENDING");
        pending
            .arg(bound.shard.keys.log())
            .arg(&*handler.name)
            .arg(from)
            .arg("+")
            .arg(STEP)
            .arg(node);
        let page: Vec<Value> = shared.hot.run(&pending).await?;
        let more = page.len() == STEP;
        let named = page.into_iter().filter_map(|entry| {
            let entry = items(entry);
            String::from_utf8(bytes(entry.first()?).to_vec()).ok()
        });
        ids.extend(named);
        if !more {
            return Ok(ids);
        }
    }
}

/// Rows that the server says this node has.
async fn owned(
    shared: &Shared,
    handler: &Handler,
    bound: &Bound,
    node: &str,
) -> Result<HashSet<String>, StoreError> {
    let mut owners = cmd("HGETALL");
    owners.arg(bound.shard.keys.owners(&handler.name));
    let owners: Vec<(String, String)> = shared.hot.run(&owners).await?;
    let own = owners.into_iter().filter(|(_, owner)| owner == node);
    Ok(own.map(|(id, _)| id).collect())
}
