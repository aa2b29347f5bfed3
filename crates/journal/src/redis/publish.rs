//! Accepting messages.
//!
//! A batch of one shard is one script. A batch of several is one script too: on the first message's shard, whose outbox
//! takes what is for others. Moving that on is tried at once, for the sake of the receipts, and repeated until done.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::redis::cmd;
use coordinator_message::MessageId;
use tokio::sync::oneshot;

use super::append::{self, Answer};
use super::codec::Item;
use super::error::StoreError;
use super::front::Group;
use super::shard::Shard;
use super::state::Shared;
use super::{keys, outbox, transfer};
use crate::{NewMessage, Receipt, ReceiptStatus};

/// A bound is reached: which, in words.
#[derive(Debug, Clone)]
pub(super) struct Full(pub(super) String);

/// See [`crate::Journal::publish`].
pub(super) async fn publish(
    shared: &Arc<Shared>,
    batch: Vec<NewMessage>,
) -> Result<Result<Vec<Receipt>, Full>, StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    shared.fit()?;
    let now = shared.clock.now();
    let items: Vec<Item> = batch
        .into_iter()
        .map(|message| Item::new(message, now))
        .collect();
    if !shared.moved_keys.load(Ordering::Relaxed) {
        return accept(shared, items).await;
    }
    let moved = transfer::known(shared, &items, now).await?;
    let ids: Vec<MessageId> = items.iter().map(|item| item.id).collect();
    let new = items.into_iter().zip(&moved);
    let new = new.filter_map(|(item, known)| known.is_none().then_some(item));
    let accepted = match accept(shared, new.collect()).await? {
        Ok(receipts) => receipts,
        Err(full) => return Ok(Err(full)),
    };
    let mut accepted = accepted.into_iter();
    let mut all = Vec::with_capacity(ids.len());
    for (id, known) in ids.into_iter().zip(moved) {
        match known {
            Some(known) => match receipts(shared, &[id], vec![known]) {
                Ok(known) => all.extend(known),
                Err(full) => return Ok(Err(full)),
            },
            None => all.extend(accepted.next()),
        }
    }
    Ok(Ok(all))
}

async fn accept(
    shared: &Arc<Shared>,
    items: Vec<Item>,
) -> Result<Result<Vec<Receipt>, Full>, StoreError> {
    let ids: Vec<MessageId> = items.iter().map(|item| item.id).collect();
    let mut shards = Vec::with_capacity(items.len());
    for item in &items {
        shards.push(shard_of(shared, item).await?);
    }
    let Some(first) = shards.first().cloned() else {
        return Ok(Ok(Vec::new()));
    };
    let answers = if shards.iter().all(|shard| shard.index == first.index) {
        submit(shared, &first, items, Vec::new()).await?
    } else {
        match outbox::over_several(shared, &first, &shards, items).await? {
            Ok(answers) => answers,
            Err(full) => return Ok(Err(full)),
        }
    };
    Ok(receipts(shared, &ids, answers))
}

/// Through the queue of a shard.
pub(super) async fn submit(
    shared: &Arc<Shared>,
    shard: &Arc<Shard>,
    items: Vec<Item>,
    outs: Vec<Item>,
) -> Result<Vec<Answer>, StoreError> {
    let (reply, answer) = oneshot::channel();
    shard
        .publishes(shared)
        .send(Group { items, outs, reply })
        .await
        .map_err(|_| StoreError::Closed)?;
    answer.await.map_err(|_| StoreError::Closed)?
}

fn receipts(
    shared: &Shared,
    ids: &[MessageId],
    answers: Vec<Answer>,
) -> Result<Vec<Receipt>, Full> {
    let receipt = |(id, answer): (&MessageId, Answer)| {
        let (id, status) = match answer {
            Answer::Accepted => (*id, ReceiptStatus::Accepted),
            Answer::Duplicate(first) => (first, ReceiptStatus::Duplicate),
            Answer::Conflict(first) => (first, ReceiptStatus::Conflict),
            Answer::Full(handler, figure) => return Err(full(shared, &handler, &figure)),
        };
        Ok(Receipt {
            id,
            status,
            durability: shared.durability,
        })
    };
    ids.iter().zip(answers).map(receipt).collect()
}

/// In words.
pub(super) fn full(shared: &Shared, handler: &str, figure: &str) -> Full {
    Full(if handler.is_empty() {
        let most = shared.limits.max_size;
        format!("max_size {most} bytes, this part of the journal has {figure}")
    } else {
        let most = shared.limits.max_backlog;
        format!("max_backlog {most}, {figure} messages wait for `{handler}`")
    })
}

/// The shard of a message, listed for all nodes before it is written to.
pub(super) async fn shard_of(shared: &Arc<Shared>, item: &Item) -> Result<Arc<Shard>, StoreError> {
    shard_at(shared, &item.lane, shared.partition(item.key.as_ref())).await
}

/// A shard, listed for all nodes before it is used.
pub(super) async fn shard_at(
    shared: &Arc<Shared>,
    lane: &str,
    partition: u32,
) -> Result<Arc<Shard>, StoreError> {
    if let Some(known) = shared.shards.find(lane, partition) {
        return Ok(known);
    }
    let mut list = cmd("SADD");
    list.arg(shared.global.shards())
        .arg(keys::shard_name(lane, partition));
    shared.hot.run::<i64>(&list).await?;
    Ok(shared.shards.known(lane, partition, shared))
}

/// Sends one batch and answers everybody in it.
pub(super) async fn send(shared: Arc<Shared>, shard: Arc<Shard>, groups: Vec<Group>) {
    let parts: Vec<(&[Item], &[Item])> = groups
        .iter()
        .map(|group| (&*group.items, &*group.outs))
        .collect();
    match append::append(&shared, &shard, &parts, true).await {
        Ok(mut answers) => {
            for group in groups {
                let rest = answers.split_off(group.items.len().max(1).min(answers.len()));
                // A caller that went away does not want to know.
                let _ = group.reply.send(Ok(std::mem::replace(&mut answers, rest)));
            }
        }
        Err(error) => {
            for group in groups {
                let _ = group.reply.send(Err(error.clone()));
            }
        }
    }
}
