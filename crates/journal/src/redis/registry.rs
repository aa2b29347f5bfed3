//! What all nodes know of handlers and shards: the keys with the tag `G`.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::cmd;
use coordinator_message::{MessageType, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::keys;
use super::state::Shared;

/// A handler, as it was when it was last opened on any node. JSON in `G:handlers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) types: Vec<MessageType>,
    pub(super) lanes: BTreeSet<String>,
    pub(super) order: bool,
    #[serde(default)]
    pub(super) paused: bool,
    /// When it was last seen open.
    pub(super) seen: Timestamp,
}

/// All handlers by id.
pub(super) async fn handlers(shared: &Shared) -> Result<BTreeMap<String, Registered>, StoreError> {
    let stored: BTreeMap<String, String> = shared
        .look
        .run(cmd("HGETALL").arg(shared.global.handlers()))
        .await?;
    stored
        .into_iter()
        .map(|(id, text)| Ok((id, read(&text)?)))
        .collect()
}

/// One handler.
pub(super) async fn handler(shared: &Shared, id: &str) -> Result<Option<Registered>, StoreError> {
    let stored: Option<String> = shared
        .look
        .run(cmd("HGET").arg(shared.global.handlers()).arg(id))
        .await?;
    stored.as_deref().map(read).transpose()
}

/// Writes one handler.
pub(super) async fn save(
    shared: &Shared,
    id: &str,
    registered: &Registered,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(registered).expect("a record of texts and numbers");
    shared
        .hot
        .run(cmd("HSET").arg(shared.global.handlers()).arg(id).arg(text))
        .await
}

/// Learns the shards that other nodes have used.
pub(super) async fn learn_shards(shared: &Shared) -> Result<(), StoreError> {
    let names: Vec<String> = shared
        .look
        .run(cmd("SMEMBERS").arg(shared.global.shards()))
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
