//! Hears of what other nodes put into the logs, and tells them: a channel for the whole journal, so that the connection
//! is one however many lanes there are.
//!
//! A message of the channel is a node and the log it wrote to; the scripts that append send it, as long as somebody else
//! hears it. Who begins to listen says so, with no log. The channel promises nothing: after every new subscription all is
//! looked at, and some shards are looked at each second anyway.

use std::sync::Arc;
use std::time::Duration;

use ::redis::cmd;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::debug;

use super::error::StoreError;
use super::shard::Shard;
use super::state::{ABREAST, Shared};

/// Between two looks without cause, and after an error.
const WAIT: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// Hears, until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            heard = listen(&shared) => if let Err(error) = heard {
                debug!(error = %error, "failed to listen to other nodes; trying again");
            },
            () = shared.closing() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT) => {}
            () = shared.closing() => return,
        }
    }
}

/// Listens for as long as the connection lives.
async fn listen(shared: &Shared) -> Result<(), StoreError> {
    let connecting = timeout(CONNECT, shared.client.get_async_pubsub()).await;
    let Ok(connected) = connecting else {
        return Ok(());
    };
    let mut channel = connected?;
    channel.subscribe(shared.global.news()).await?;
    shared.somebody_listens();
    say(shared, "").await?;
    for shard in shared.shards.all() {
        shared.poke(&shard);
    }
    let mut told = channel.into_on_message();
    while let Some(message) = told.next().await {
        let Some((node, log)) = message
            .get_payload_bytes()
            .split_at_checked(shared.node.len())
        else {
            continue;
        };
        if node == shared.node.as_bytes() {
            continue;
        }
        shared.somebody_listens();
        if let Some(shard) = std::str::from_utf8(log)
            .ok()
            .and_then(|log| shared.shards.with_log(log))
        {
            shared.poke(&shard);
        }
    }
    Ok(())
}

/// Tells other nodes to look at a shard: something in it is for whoever comes first. They find it later if this fails.
pub(super) async fn tell(shared: &Shared, shard: &Shard) {
    if let Err(error) = say(shared, &shard.keys.log()).await {
        debug!(error = %error, "other nodes were not told");
    }
}

async fn say(shared: &Shared, log: &str) -> Result<(), StoreError> {
    let mut publish = cmd("PUBLISH");
    publish
        .arg(shared.global.news())
        .arg(format!("{}{log}", shared.node));
    shared.look.run(&publish).await
}

/// Looks at some shards each second, one after the other, until the journal is closed: that finds what nobody told of.
pub(super) async fn look_around(shared: Arc<Shared>) {
    let mut next = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(WAIT) => {}
            () = shared.closing() => return,
        }
        let shards = shared.shards.all();
        for offset in 0..ABREAST.min(shards.len()) {
            shared.poke(&shards[(next + offset) % shards.len()]);
        }
        next = (next + ABREAST) % shards.len().max(1);
    }
}
