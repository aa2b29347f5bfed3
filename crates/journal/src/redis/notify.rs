//! Hears of what other nodes publish: one blocking read for each shard, on a connection of its own.
//!
//! It is armed by a handler that found nothing. The place to wait from is taken before the handlers look once more, so
//! nothing falls between. The wait ends after a second, and everything is looked at: that finds what no entry tells,
//! such as a delivery that another node gave back.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, cmd};
use tracing::debug;

use super::error::StoreError;
use super::link::{Link, bytes, items};
use super::shard::Shard;
use super::state::Shared;

/// How long one read blocks.
const WAIT: Duration = Duration::from_secs(1);

/// Runs until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>, shard: Arc<Shard>) {
    while !shared.is_closed() {
        tokio::select! {
            heard = listen(&shared, &shard) => {
                if let Err(error) = heard {
                    debug!(lane = shard.lane, error = %error, "failed to listen; trying again");
                }
            }
            () = shared.closing() => return,
        }
        shared.poke(&shard);
        tokio::select! {
            () = tokio::time::sleep(WAIT) => {}
            () = shared.closing() => return,
        }
    }
}

/// Listens for as long as the connection lives.
async fn listen(shared: &Shared, shard: &Shard) -> Result<(), StoreError> {
    let mut connection = Link::blocking(&shared.client).await?;
    loop {
        shard.armed.notified().await;
        let last = last_id(shared, shard).await?;
        shared.poke(shard);
        let mut read = cmd("XREAD");
        read.arg("BLOCK")
            .arg(WAIT.as_millis())
            .arg("COUNT")
            .arg(1)
            .arg("STREAMS")
            .arg(shard.keys.log())
            .arg(last);
        read.query_async::<Value>(&mut connection).await?;
        shared.poke(shard);
    }
}

/// The last id that the log gave.
async fn last_id(shared: &Shared, shard: &Shard) -> Result<String, StoreError> {
    let mut range = cmd("XREVRANGE");
    range
        .arg(shard.keys.log())
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(1);
    let entries: Vec<Value> = shared.hot.run(&range).await?;
    let entry = entries.into_iter().next().map(items).unwrap_or_default();
    let id = entry.first().map(|id| String::from_utf8_lossy(bytes(id)));
    Ok(id.map_or_else(|| "0-0".to_owned(), |id| id.into_owned()))
}
