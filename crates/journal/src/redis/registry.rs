//! What all nodes know of handlers and shards: the keys with the tag `G`.
//!
//! What changes at other times than a handler's bindings stands in keys of its own, so that no write undoes another.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::{cmd, pipe};
use coordinator_message::{MessageType, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::keys;
use super::state::Shared;

/// A handler, as it was when it was last opened on any node. JSON in `G:handlers`, but for what is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) types: Vec<MessageType>,
    /// The lanes that each of these types was published in, since it was bound.
    pub(super) lanes: BTreeMap<MessageType, BTreeSet<String>>,
    pub(super) order: bool,
    /// In `G:paused`.
    #[serde(skip)]
    pub(super) paused: bool,
    /// When it was last seen open. In `G:seen`.
    #[serde(skip)]
    pub(super) seen: Timestamp,
}

impl Registered {
    /// Is any of its types published in this lane?
    pub(super) fn reads(&self, lane: &str) -> bool {
        self.lanes.values().any(|lanes| lanes.contains(lane))
    }
}

/// All handlers by id.
pub(super) async fn handlers(shared: &Shared) -> Result<BTreeMap<String, Registered>, StoreError> {
    let of = &shared.global;
    let mut asked = pipe();
    asked.cmd("HGETALL").arg(of.handlers());
    asked.cmd("SMEMBERS").arg(of.paused());
    asked.cmd("HGETALL").arg(of.seen());
    let (stored, paused, seen): (
        BTreeMap<String, String>,
        BTreeSet<String>,
        BTreeMap<String, i64>,
    ) = shared.look.read_all(&asked).await?;
    stored
        .into_iter()
        .map(|(id, text)| {
            let mut known = read(&text)?;
            known.paused = paused.contains(&id);
            known.seen = Timestamp::from_millis(seen.get(&id).copied().unwrap_or_default());
            Ok((id, known))
        })
        .collect()
}

/// One handler.
pub(super) async fn handler(shared: &Shared, id: &str) -> Result<Option<Registered>, StoreError> {
    let of = &shared.global;
    let mut asked = pipe();
    asked.cmd("HGET").arg(of.handlers()).arg(id);
    asked.cmd("SISMEMBER").arg(of.paused()).arg(id);
    asked.cmd("HGET").arg(of.seen()).arg(id);
    let (stored, paused, seen): (Option<String>, bool, Option<i64>) =
        shared.look.read_all(&asked).await?;
    let known = stored.as_deref().map(read).transpose()?;
    Ok(known.map(|known| Registered {
        paused,
        seen: Timestamp::from_millis(seen.unwrap_or_default()),
        ..known
    }))
}

/// Writes one handler, and that it was seen. Whether it is paused stays as it is.
pub(super) async fn save(
    shared: &Shared,
    id: &str,
    registered: &Registered,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(registered).expect("a record of texts and numbers");
    let of = &shared.global;
    let mut all = pipe();
    all.cmd("HSET")
        .arg(of.handlers())
        .arg(id)
        .arg(text)
        .ignore();
    let seen = registered.seen.as_millis();
    all.cmd("HSET").arg(of.seen()).arg(id).arg(seen).ignore();
    shared.hot.pipe(all.atomic()).await
}

/// Pauses a handler for every node, or lets it go on.
pub(super) async fn pause(shared: &Shared, id: &str, paused: bool) -> Result<(), StoreError> {
    let name = if paused { "SADD" } else { "SREM" };
    shared
        .hot
        .run(cmd(name).arg(shared.global.paused()).arg(id))
        .await
}

/// Pauses the handlers that are open here, or lets them go on, as other nodes were told.
pub(super) async fn follow_pauses(shared: &Shared) -> Result<(), StoreError> {
    let _turn = shared.controls.lock().await;
    let now: BTreeSet<String> = shared
        .look
        .run(cmd("SMEMBERS").arg(shared.global.paused()))
        .await?;
    for handler in shared.handlers().values() {
        let paused = now.contains(&*handler.name);
        if handler.is_paused() != paused {
            handler.pause(paused);
        }
    }
    Ok(())
}

/// Says that this node is there and which handlers are in its wiring, for a while.
pub(super) async fn announce(shared: &Shared) -> Result<(), StoreError> {
    let until = server_time(shared).await? + 10_000;
    let mut add = cmd("ZADD");
    add.arg(shared.global.open());
    for name in names(shared) {
        add.arg(until).arg(name);
    }
    shared.look.run(&add).await
}

/// Takes back what [`announce`] said.
pub(super) async fn withdraw(shared: &Shared) -> Result<(), StoreError> {
    let mut remove = cmd("ZREM");
    remove.arg(shared.global.open());
    for name in names(shared) {
        remove.arg(name);
    }
    shared.look.run(&remove).await
}

/// What [`announce`] says. A node that has no handler is there all the same: so there is a name with none.
fn names(shared: &Shared) -> impl Iterator<Item = String> {
    let handlers = shared.in_wiring().into_iter().chain([String::new()]);
    handlers.map(|id| format!("{id}\n{}", shared.node))
}

/// This handler is not in the wiring of this node any more.
pub(super) async fn gone(shared: &Shared, id: &str) -> Result<(), StoreError> {
    let of = &shared.global;
    let mut all = pipe();
    let name = format!("{id}\n{}", shared.node);
    all.cmd("ZREM").arg(of.open()).arg(name).ignore();
    let now = shared.clock.now().as_millis();
    all.cmd("HSET").arg(of.seen()).arg(id).arg(now).ignore();
    shared.look.pipe(&all).await
}

/// Learns which handlers no node has in its wiring.
pub(super) async fn learn_removed(shared: &Shared) -> Result<(), StoreError> {
    let known: BTreeSet<String> = shared
        .look
        .read(cmd("HKEYS").arg(shared.global.handlers()))
        .await?;
    let open = open(shared).await?;
    shared.set_removed(known.difference(&open).cloned().collect());
    Ok(())
}

/// The handlers that are in the wiring of some node.
pub(super) async fn open(shared: &Shared) -> Result<BTreeSet<String>, StoreError> {
    let said = said(shared).await?;
    let mut open: BTreeSet<String> = said.into_iter().map(|(id, _)| id).collect();
    open.remove("");
    open.extend(shared.in_wiring());
    Ok(open)
}

/// How many other nodes there are.
pub(super) async fn others(shared: &Shared) -> Result<u64, StoreError> {
    let said = said(shared).await?;
    let others: BTreeSet<String> = said.into_iter().map(|(_, node)| node).collect();
    let others = others.iter().filter(|node| **node != shared.node);
    Ok(others.count() as u64)
}

/// Handlers and nodes, as they were announced and are still believed.
async fn said(shared: &Shared) -> Result<Vec<(String, String)>, StoreError> {
    let now = server_time(shared).await?;
    let mut range = cmd("ZRANGEBYSCORE");
    range.arg(shared.global.open()).arg(now).arg("+inf");
    let named: Vec<String> = shared.look.read(&range).await?;
    let pair = |name: &String| {
        let (id, node) = name.split_once('\n')?;
        Some((id.to_owned(), node.to_owned()))
    };
    Ok(named.iter().filter_map(pair).collect())
}

/// Forgets who is not believed to have anything open any more, and remembers when the others were seen.
pub(super) async fn tidy(shared: &Shared, now: Timestamp) -> Result<(), StoreError> {
    let open = open(shared).await?;
    let over = server_time(shared).await? - 1;
    let mut all = pipe();
    let key = shared.global.open();
    all.cmd("ZREMRANGEBYSCORE")
        .arg(key)
        .arg("-inf")
        .arg(over)
        .ignore();
    for id in open {
        let seen = shared.global.seen();
        all.cmd("HSET")
            .arg(seen)
            .arg(id)
            .arg(now.as_millis())
            .ignore();
    }
    shared.look.pipe(&all).await
}

/// Forgets a handler.
pub(super) async fn remove(shared: &Shared, id: &str) -> Result<(), StoreError> {
    let of = &shared.global;
    let mut all = pipe();
    all.cmd("HDEL").arg(of.handlers()).arg(id).ignore();
    all.cmd("SREM").arg(of.paused()).arg(id).ignore();
    all.cmd("HDEL").arg(of.seen()).arg(id).ignore();
    shared.look.pipe(all.atomic()).await
}

/// What time the server says, in milliseconds.
async fn server_time(shared: &Shared) -> Result<i64, StoreError> {
    let (seconds, micros): (i64, i64) = shared.look.run(&cmd("TIME")).await?;
    Ok(seconds * 1000 + micros / 1000)
}

/// Learns the shards that other nodes have used.
pub(super) async fn learn_shards(shared: &Shared) -> Result<(), StoreError> {
    let names: Vec<String> = shared
        .look
        .read(cmd("SMEMBERS").arg(shared.global.shards()))
        .await?;
    for name in &names {
        let (lane, partition) = keys::read_shard_name(name)
            .ok_or(StoreError::Damaged("the name of a shard is not readable"))?;
        shared.shards.known(lane, partition, shared);
    }
    Ok(())
}

fn read(text: &str) -> Result<Registered, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("a handler is not readable"))
}
