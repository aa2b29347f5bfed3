//! Hears of what other nodes put into the logs, and tells them: a channel for the whole journal, so that the connection
//! is one however many lanes there are.
//!
//! A message of the channel is a node and the log it wrote to; the scripts that append send it. Who finds that nobody else
//! heard it saves that for a second. The channel promises nothing: after every new subscription all is looked at, and some
//! shards are looked at each second anyway.

use std::sync::Arc;
use std::time::Duration;

use ::redis::cmd;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::debug;

use super::error::StoreError;
use super::shard::Shard;
use super::state::{ABREAST, Shared};
use super::trouble::Trouble;

/// Between two looks without cause, and after an error.
const WAIT: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// Hears, until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut trouble = Trouble::with("hear what other nodes publish");
    loop {
        tokio::select! {
            ended = listen(&shared, &mut trouble) => if let Err(error) = ended {
                trouble.note(Err(error));
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
async fn listen(shared: &Shared, trouble: &mut Trouble) -> Result<(), StoreError> {
    let subscribing = async {
        let mut channel = shared.client.get_async_pubsub().await?;
        channel.subscribe(shared.global.news()).await?;
        Ok::<_, ::redis::RedisError>(channel)
    };
    let Ok(subscribed) = timeout(CONNECT, subscribing).await else {
        // The heartbeat of this node says what there is to say of a server that hangs.
        return Ok(());
    };
    let channel = subscribed?;
    trouble.note(Ok(()));
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
        if node != shared.node.as_bytes()
            && let Some(shard) = std::str::from_utf8(log)
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
    let mut publish = cmd("PUBLISH");
    publish
        .arg(shared.global.news())
        .arg(format!("{}{}", shared.node, shard.keys.log()));
    if let Err(error) = shared.look.run::<i64>(&publish).await {
        debug!(error = %error, "other nodes were not told");
    }
}

/// Looks at some shards each second, one after the other, until the journal is closed: that finds what nobody told of.
pub(super) async fn look_around(shared: Arc<Shared>) {
    let mut next = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(WAIT) => {}
            () = shared.closing() => return,
        }
        shared.somebody_may_listen();
        let shards = shared.shards.all();
        for offset in 0..ABREAST.min(shards.len()) {
            shared.poke(&shards[(next + offset) % shards.len()]);
        }
        next = (next + ABREAST) % shards.len().max(1);
    }
}
