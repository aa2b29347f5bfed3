//! What one write decided and other shards are to store: kept beside that write, then moved.
//!
//! Any node may move any outbox, in its order, and twice: ids make the second time nothing. What was moved is deleted
//! only afterwards.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, cmd};
use bytes::Bytes;

use super::append::{self, Answer};
use super::codec::{Fields, Item};
use super::error::StoreError;
use super::link::{bytes, items};
use super::publish::{self, Full};
use super::shard::Shard;
use super::state::Shared;
use super::trouble::Trouble;
use super::{registry, usage};

/// How often outboxes of nodes that are gone are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Entries in one step.
const PAGE: usize = 128;

/// Publishes a batch over several shards: one write on the first.
pub(super) async fn over_several(
    shared: &Arc<Shared>,
    first: &Arc<Shard>,
    shards: &[Arc<Shard>],
    all: Vec<Item>,
) -> Result<Result<Vec<Answer>, Full>, StoreError> {
    let mut others: Vec<(Arc<Shard>, Vec<usize>)> = Vec::new();
    for (index, shard) in shards.iter().enumerate() {
        if shard.index == first.index {
            continue;
        }
        match others
            .iter_mut()
            .find(|(known, _)| known.index == shard.index)
        {
            Some((_, indexes)) => indexes.push(index),
            None => others.push((shard.clone(), vec![index])),
        }
    }
    if let Some(full) = no_room(shared, &all).await? {
        return Ok(Err(full));
    }
    let here = |own: bool| {
        let chosen = shards.iter().zip(&all);
        chosen
            .filter(move |(shard, _)| (shard.index == first.index) == own)
            .map(|(_, item)| item.clone())
            .collect::<Vec<_>>()
    };
    let mut own = publish::submit(shared, first, here(true), here(false))
        .await?
        .into_iter();
    let mut answers = Vec::with_capacity(all.len());
    for shard in shards {
        let own_answer = (shard.index == first.index).then(|| own.next()).flatten();
        answers.push(own_answer.unwrap_or(Answer::Accepted));
    }
    if let Some(Answer::Full(handler, figure)) = answers.first() {
        return Ok(Err(publish::full(shared, handler, figure)));
    }
    for (shard, indexes) in others {
        let chosen: Vec<Item> = indexes.iter().map(|index| all[*index].clone()).collect();
        // Decided already: an error here delays the messages, and nothing else.
        let Ok(moved) = append::append(shared, &shard, &[(&chosen, &[])], false).await else {
            continue;
        };
        for (index, answer) in indexes.into_iter().zip(moved) {
            // Another node may have moved it first.
            if answer != Answer::Duplicate(all[index].id) {
                answers[index] = answer;
            }
        }
    }
    Ok(Ok(answers))
}

/// Is there no room for these? What others write meanwhile may pass the bound by as much.
async fn no_room(shared: &Shared, wanted: &[Item]) -> Result<Option<Full>, StoreError> {
    let figures = usage::all(shared).await?;
    if figures.bytes >= shared.limits.max_size {
        let full = publish::full(shared, "", &figures.bytes.to_string());
        return Ok(Some(full));
    }
    for (handler, registered) in registry::handlers(shared).await? {
        let more = wanted
            .iter()
            .filter(|item| registered.types.contains(&item.ty));
        let waiting = figures.unsettled.get(&handler).copied().unwrap_or(0);
        let more = more.count() as u64;
        if more > 0 && waiting + more > shared.limits.max_backlog {
            let full = publish::full(shared, &handler, &waiting.to_string());
            return Ok(Some(full));
        }
    }
    Ok(None)
}

/// Moves outboxes until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut trouble = Trouble::with("move an outbox");
    loop {
        trouble.note(move_all(&shared).await);
        tokio::select! {
            () = shared.outbox.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = shared.closing() => return,
        }
    }
}

/// Moves what is in any outbox now.
pub(super) async fn move_all(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let mut names = vec![shared.global.outbox()];
    names.extend(shared.shards.all().iter().map(|shard| shard.keys.outbox()));
    let mut sizes = ::redis::pipe();
    for name in &names {
        sizes.cmd("XLEN").arg(name);
    }
    let sizes: Vec<u64> = shared.hot.pipe(&sizes).await?;
    for (name, _) in names.iter().zip(sizes).filter(|(_, size)| *size > 0) {
        while move_page(shared, name).await? {}
    }
    Ok(())
}

/// Moves the first entries; true if there may be more.
async fn move_page(shared: &Arc<Shared>, outbox: &str) -> Result<bool, StoreError> {
    let mut range = cmd("XRANGE");
    range.arg(outbox).arg("-").arg("+").arg("COUNT").arg(PAGE);
    let entries: Vec<Value> = shared.hot.run(&range).await?;
    let count = entries.len();
    let mut ids = Vec::with_capacity(count);
    let mut targets: Vec<(Arc<Shard>, Vec<Item>)> = Vec::new();
    let now = shared.clock.now();
    for entry in entries {
        let damaged = || StoreError::Damaged("an entry of an outbox is not readable");
        let mut pair = items(entry).into_iter();
        let (id, fields) = pair.next().zip(pair.next()).ok_or_else(damaged)?;
        let fields = items(fields);
        if fields.len() < 8 {
            return Err(damaged());
        }
        let message = Fields {
            meta: bytes(&fields[1]).to_vec(),
            data: Bytes::copy_from_slice(bytes(&fields[3])),
        };
        let item = Item::from_outbox(message, bytes(&fields[5]), bytes(&fields[7]), now)?;
        let shard = publish::shard_of(shared, &item).await?;
        match targets
            .iter_mut()
            .find(|(known, _)| known.index == shard.index)
        {
            Some((_, list)) => list.push(item),
            None => targets.push((shard, vec![item])),
        }
        ids.push(bytes(&id).to_vec());
    }
    for (shard, list) in &targets {
        append::append(shared, shard, &[(list, &[])], false).await?;
    }
    if !ids.is_empty() {
        let mut delete = cmd("XDEL");
        delete.arg(outbox).arg(ids);
        shared.hot.run::<i64>(&delete).await?;
    }
    Ok(count == PAGE)
}
