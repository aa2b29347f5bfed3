//! Being alive: heartbeats, what was held by nodes that are not heard of any more, and giving back at the end.
//!
//! A heartbeat is a key that expires. Only its node renews it, and only while it is there: a node that finds it gone
//! cannot tell what others took meanwhile, so it drops what it held and goes on under another name. Whoever takes from
//! a node checks in the same script that its heartbeat is gone; whoever settles, that its own is there.

use std::sync::{Arc, LazyLock};

use ::redis::{Cmd, Value, cmd};
use futures_util::future::join_all;
use tracing::{info, warn};

use super::error::StoreError;
use super::handler::{Bound, Handler};
use super::link::{LIB, Lazy, Script, bytes, items};
use super::notify;
use super::shard::{Incarnation, Shard};
use super::state::{ABREAST, Shared};
use super::trouble::Trouble;

static CLAIM: Lazy = LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("claim.lua")]));

/// This node in that shard, with its heartbeat written.
pub(super) async fn alive(shared: &Shared, shard: &Shard) -> Result<Incarnation, StoreError> {
    let node = shard.incarnation();
    if node.alive {
        return Ok(node);
    }
    shared
        .hot
        .run::<()>(&beat(shared, shard, &node, "NX"))
        .await?;
    shard.began(node.number);
    Ok(Incarnation {
        alive: true,
        ..node
    })
}

/// The heartbeat was found gone.
pub(super) fn lost(shared: &Shared, shard: &Shard, node: &Incarnation) {
    if !shard.died(node.number) {
        return;
    }
    warn!(
        lane = shard.lane,
        "this node's heartbeat was gone: what it held is handed out again, here or on another node"
    );
    let handlers: Vec<Arc<Handler>> = shared.handlers().values().cloned().collect();
    for handler in handlers {
        handler.lost(shard.index);
    }
}

/// Keeps this node alive and takes over from those that are not, until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let every = (shared.node_timeout / 3).max(std::time::Duration::from_millis(10));
    let mut beats = Trouble::with("renew the heartbeat");
    let mut gone = Trouble::with("look for nodes that are gone");
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shared.closing() => return,
        }
        beats.note(renew_all(&shared).await);
        gone.note(take_over_all(&shared).await);
    }
}

/// Every shard is tried; the last error is told.
async fn renew_all(shared: &Shared) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for some in shared.shards.all().chunks(ABREAST) {
        let renewals = some.iter().map(|shard| renew(shared, shard));
        outcome = join_all(renewals)
            .await
            .into_iter()
            .fold(outcome, Result::and);
    }
    outcome
}

/// The same for every handler.
async fn take_over_all(shared: &Shared) -> Result<(), StoreError> {
    let handlers: Vec<Arc<Handler>> = shared.handlers().values().cloned().collect();
    let mut outcome = Ok(());
    for handler in handlers {
        outcome = take_over(shared, &handler).await.and(outcome);
    }
    outcome
}

async fn renew(shared: &Shared, shard: &Shard) -> Result<(), StoreError> {
    let node = shard.incarnation();
    if !node.alive {
        return Ok(());
    }
    let renewed: Option<String> = shared.hot.run(&beat(shared, shard, &node, "XX")).await?;
    if renewed.is_none() {
        lost(shared, shard, &node);
    }
    Ok(())
}

fn beat(shared: &Shared, shard: &Shard, node: &Incarnation, when: &str) -> Cmd {
    let millis = u64::try_from(shared.node_timeout.as_millis()).unwrap_or(u64::MAX);
    let mut set = cmd("SET");
    set.arg(shard.keys.heartbeat(&node.name))
        .arg(1)
        .arg("PX")
        .arg(millis.max(1))
        .arg(when);
    set
}

/// Takes over what nodes held that are not heard of any more.
pub(super) async fn take_over(shared: &Shared, handler: &Handler) -> Result<(), StoreError> {
    let Some(view) = handler.view() else {
        return Ok(());
    };
    let bounds: Vec<&Bound> = view.shards.values().collect();
    for some in bounds.chunks(ABREAST) {
        let takings = some
            .iter()
            .map(|bound| take_over_in(shared, handler, &bound.shard));
        join_all(takings)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
    }
    Ok(())
}

async fn take_over_in(shared: &Shared, handler: &Handler, shard: &Shard) -> Result<(), StoreError> {
    let own = shard.incarnation();
    for node in nodes(shared, shard, &handler.name).await? {
        if *node == *own.name {
            continue;
        }
        let taken = take(shared, shard, &handler.name, &node, Why::Gone).await?;
        if taken > 0 {
            info!(
                handler = &*handler.name,
                node, taken, "took over from a node that is gone"
            );
            handler.poke(shard.index);
        }
    }
    Ok(())
}

/// Who holds something of a handler.
async fn nodes(shared: &Shared, shard: &Shard, handler: &str) -> Result<Vec<String>, StoreError> {
    let mut consumers = cmd("XINFO");
    consumers
        .arg("CONSUMERS")
        .arg(shard.keys.log())
        .arg(handler);
    let mut owners = cmd("HVALS");
    owners.arg(shard.keys.owners(handler));
    let consumers: Vec<Value> = shared.hot.run(&consumers).await?;
    let mut nodes: Vec<String> = shared.hot.run(&owners).await?;
    for consumer in consumers {
        let fields = match consumer {
            Value::Map(pairs) => pairs
                .into_iter()
                .flat_map(|(key, value)| [key, value])
                .collect(),
            other => items(other),
        };
        let name = fields.chunks(2).find(|pair| bytes(&pair[0]) == b"name");
        nodes.extend(name.and_then(|pair| String::from_utf8(bytes(pair.get(1)?).to_vec()).ok()));
    }
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its heartbeat is gone: each of its deliveries may have killed it.
    Gone,
    /// It ends in an orderly way.
    GivenBack,
}

async fn take(
    shared: &Shared,
    shard: &Shard,
    handler: &str,
    node: &str,
    why: Why,
) -> Result<u64, StoreError> {
    let mut keys = shard.keys.of_handler(handler, node);
    keys.push(shard.keys.gone(handler));
    let given_back = why == Why::GivenBack;
    let mut all = 0;
    loop {
        let mut call = CLAIM.with(&keys);
        call.arg(handler)
            .arg(node)
            .arg(shared.clock.now().as_millis())
            .arg(u8::from(!given_back))
            .arg(u8::from(given_back));
        let moved: i64 = shared.hot.call(&CLAIM, &call).await?;
        all += u64::try_from(moved).unwrap_or(0);
        if moved <= 0 {
            return Ok(all);
        }
    }
}

/// Gives back what this node holds of one handler. Every shard is tried; the last error is told.
pub(super) async fn give_back_of(shared: &Shared, handler: &Handler) -> Result<(), StoreError> {
    let Some(view) = handler.view() else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for bound in view.shards.values() {
        let (shard, node) = (&bound.shard, bound.shard.incarnation());
        if !node.alive {
            continue;
        }
        match take(shared, shard, &handler.name, &node.name, Why::GivenBack).await {
            Ok(0) => {}
            Ok(_) => notify::tell(shared, shard).await,
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

/// Gives back what this node holds, so that nobody has to wait for its heartbeat to be gone.
pub(super) async fn give_back(shared: &Shared) {
    let handlers: Vec<Arc<Handler>> = shared.handlers().values().cloned().collect();
    for handler in &handlers {
        if let Err(error) = give_back_of(shared, handler).await {
            warn!(handler = &*handler.name, error = %error, "failed to give deliveries back; they are taken over when the heartbeat is gone");
        }
    }
    for shard in shared.shards.all() {
        let node = shard.incarnation();
        if node.alive {
            let gone = cmd("DEL").arg(shard.keys.heartbeat(&node.name)).to_owned();
            if let Err(error) = shared.hot.run::<i64>(&gone).await {
                warn!(lane = shard.lane, error = %error, "failed to end the heartbeat");
            }
        }
    }
}
