//! Accepting messages.
//!
//! A batch of one shard is one script. A batch of several is one script too: on the first message's shard, whose outbox
//! takes what is for others. Moving that on is tried at once, for the sake of the receipts, and repeated until done.

use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{Value, cmd};
use coordinator_message::{MessageId, Timestamp};
use tokio::sync::oneshot;

use super::codec::Item;
use super::error::StoreError;
use super::front::Group;
use super::link::{Call, Lazy, Script, bytes};
use super::shard::Shard;
use super::state::Shared;
use super::usage::{self, Figures};
use super::{keys, outbox, transfer};
use crate::{NewMessage, Receipt, ReceiptStatus};

/// What the scripts that append share.
pub(super) const LOG: &str = include_str!("log.lua");
/// Before [`LOG`]: payloads stay in the entries.
pub(super) const TOGETHER: &str = "local APART = false";
/// Before [`LOG`]: payloads are stored where they can be dropped.
pub(super) const APART: &str = "local APART = true";
const ACCEPT: &str = include_str!("publish.lua");

/// Within the bounds: refused whole when Redis is out of memory.
static PUBLISH: [Lazy; 2] = [
    LazyLock::new(|| Script::new("", &[TOGETHER, LOG, ACCEPT])),
    LazyLock::new(|| Script::new("", &[APART, LOG, ACCEPT])),
];
/// What was accepted before, on its way from an outbox.
static MOVE: [Lazy; 2] = [
    LazyLock::new(|| Script::new("allow-oom", &[TOGETHER, LOG, ACCEPT])),
    LazyLock::new(|| Script::new("allow-oom", &[APART, LOG, ACCEPT])),
];

/// Clocks of nodes may differ by so much, for an id of one to be found by another.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// A bound is reached: which, in words.
#[derive(Debug, Clone)]
pub(super) struct Full(pub(super) String);

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Duplicate(MessageId),
    Conflict(MessageId),
    /// The handler whose backlog is full, or nothing for the size; and the figure.
    Full(String, String),
}

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
    match append(&shared, &shard, &parts, true).await {
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

/// Writes groups of messages to one shard. A group without messages, only for the outbox, has one answer.
pub(super) async fn append(
    shared: &Shared,
    shard: &Shard,
    groups: &[(&[Item], &[Item])],
    bounded: bool,
) -> Result<Vec<Answer>, StoreError> {
    let scripts = if bounded { &PUBLISH } else { &MOVE };
    let script = &scripts[shared.apart()];
    let elsewhere = if bounded {
        Some(usage::elsewhere(shared, shard).await?)
    } else {
        None
    };
    let call = call(shared, shard, script, groups, elsewhere);
    let said: Vec<Value> = shared.intake.call(script, &call).await?;
    let [changed, size, said @ ..] = &*said else {
        return Err(StoreError::Damaged("a script answered nothing"));
    };
    if let Some(size) = std::str::from_utf8(bytes(size))
        .ok()
        .and_then(|size| size.parse().ok())
    {
        shared.usage.found(shard, size);
    }
    if *changed == Value::Int(2) {
        shared.nobody_listens();
    }
    if *changed != Value::Int(0) {
        let delayed = groups.iter().flat_map(|group| group.0);
        if let Some(due) = delayed.filter_map(|item| item.deliver_at).min() {
            shard.delayed_until(due);
            shared.delayed.notify_one();
        }
        for handler in shared.handlers().values() {
            handler.news(shard.index);
        }
    }
    if groups.iter().any(|group| !group.1.is_empty()) {
        shared.outbox.notify_one();
    }
    said.iter().map(answer).collect()
}

fn call(
    shared: &Shared,
    shard: &Shard,
    script: &Script,
    groups: &[(&[Item], &[Item])],
    elsewhere: Option<Figures>,
) -> Call {
    let now = shared.clock.now();
    let keys = &shard.keys;
    let days: Vec<i64> = keys::days(now, shared.limits.retention).collect();
    let mut names = vec![
        keys.log(),
        keys.counters(),
        keys.types(),
        keys.delayed(),
        keys.delayed_bodies(),
        keys.outbox(),
    ];
    let items = || groups.iter().flat_map(|group| group.0);
    // A name costs the server as much as an argument.
    let id_days = known_days(items().map(|item| item.id), now, days.len());
    let keyed = items().any(|item| item.idempotency.is_some());
    let scope_days = if keyed { days.len() } else { 0 };
    names.extend(days.iter().take(id_days).map(|day| keys.ids(*day)));
    let scopes = days.iter().take(scope_days);
    names.extend(scopes.map(|day| keys.idempotency(*day)));
    let most = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
    let limits = &shared.limits;
    let (backlog, size, others) = elsewhere.map_or((-1, -1, String::new()), |figures| {
        let size = limits.max_size.saturating_sub(figures.bytes);
        let others = unsettled(shared, &figures);
        (most(limits.max_backlog), most(size), others)
    });
    let mut call = script.with(&names);
    call.arg(now.as_millis())
        .arg(now.before(limits.retention).as_millis())
        .arg(backlog)
        .arg(size)
        .arg(scope_days)
        .arg(groups.len())
        .arg(others);
    call.arg(id_days).arg(shared.teller());
    for (items, outs) in groups {
        call.arg(items.len()).arg(outs.len());
    }
    for item in items() {
        call.arg(&item.id.as_bytes()[..]);
        message(&mut call, item);
        call.arg(extra(item));
    }
    for item in groups.iter().flat_map(|group| group.1) {
        fields(&mut call, item);
    }
    call
}

/// What handlers have unsettled in other shards, as the script takes it. Those that left the wiring fill no backlog.
fn unsettled(shared: &Shared, elsewhere: &Figures) -> String {
    let removed = shared.removed();
    let others = elsewhere.unsettled.iter();
    let others = others.filter(|(handler, _)| !removed.contains(*handler));
    let others = others.map(|(handler, count)| format!("{handler}\t{count}\n"));
    let unbounded = removed.iter().map(|handler| format!("{handler}\t-1\n"));
    others.chain(unbounded).collect()
}

/// How many of the latest `days` an id of these may have been stored in: none was before it was made.
fn known_days(ids: impl Iterator<Item = MessageId>, now: Timestamp, days: usize) -> usize {
    let of = |id: MessageId| {
        // What is from the future was made by a clock that says nothing.
        let made = id.made_at().filter(|made| *made <= now)?;
        let back = keys::days(now, SKEW + now.since(made)).count();
        Some(back.min(days))
    };
    ids.map(|id| of(id).unwrap_or(days)).max().unwrap_or(1)
}

/// Type, key, metadata and payload.
fn message(call: &mut Call, item: &Item) {
    call.arg(item.ty.as_str())
        .arg(item.key.as_ref().map_or(&[][..], |key| &key[..]))
        .arg(&*item.meta)
        .arg(&*item.data);
}

/// Scope and payload digest, if it has an idempotency key, and when it is due, if that is later. Most have neither: an
/// argument costs the server as much as a tenth of a message.
fn extra(item: &Item) -> Vec<u8> {
    let mut extra = Vec::new();
    if let Some((scope, payload)) = &item.idempotency {
        extra.extend_from_slice(scope);
        extra.extend_from_slice(payload);
    }
    if let Some(due) = item.deliver_at {
        extra.extend_from_slice(due.as_millis().to_string().as_bytes());
    }
    extra
}

/// Type, key, metadata, payload, scope and payload digest.
pub(super) fn fields(call: &mut Call, item: &Item) {
    let (scope, payload) = match &item.idempotency {
        Some((scope, payload)) => (&scope[..], &payload[..]),
        None => (&[][..], &[][..]),
    };
    message(call, item);
    call.arg(scope).arg(payload);
}

fn answer(said: &Value) -> Result<Answer, StoreError> {
    let damaged = StoreError::Damaged("a script answered what it never does");
    let Some((kind, rest)) = bytes(said).split_first() else {
        return Err(damaged);
    };
    let id = || rest.try_into().ok().map(MessageId::from_bytes);
    let found = match kind {
        b'A' => Some(Answer::Accepted),
        b'D' => id().map(Answer::Duplicate),
        b'C' => id().map(Answer::Conflict),
        b'F' => String::from_utf8_lossy(rest)
            .split_once('\n')
            .map(|(handler, figure)| Answer::Full(handler.to_owned(), figure.to_owned())),
        _ => None,
    };
    found.ok_or(damaged)
}
