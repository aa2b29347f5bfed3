//! One message in full, and where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::{Value, cmd, pipe};
use coordinator_message::MessageId;
use serde::Deserialize;

use super::browse::Listed;
use super::browse::merge::{id as entry_id, waiting};
use super::codec::unpack;
use super::dead::Letter;
use super::entries::{self, Entry};
use super::error::StoreError;
use super::keys;
use super::places::{self, Place};
use super::registry::{self, Registered};
use super::shard::Shard;
use super::state::Shared;
use crate::{AttemptRecord, DeliveryRecord, DeliveryState, Failure, MessageDetail};

/// A message that was looked up.
pub(super) struct Found {
    pub(super) entry: Entry,
    /// It is in the log; else a dead letter or a replay has the copy, or its time has not come.
    pub(super) logged: bool,
}

/// See [`crate::Journal::message`].
pub(super) async fn detail(
    shared: &Shared,
    id: MessageId,
) -> Result<Option<MessageDetail>, StoreError> {
    registry::learn_shards(shared).await?;
    let handlers = registry::handlers(shared).await?;
    let Some(Found { entry, .. }) = find(shared, &handlers, id).await? else {
        return Ok(None);
    };
    let stored = entry.fields.decode()?;
    let places = places::of(shared, &handlers, &[&entry]).await?;
    let listed = Listed {
        places: places.into_iter().next().unwrap_or_default(),
        stored,
        entry,
    };
    let deliveries = deliveries(shared, &listed).await?;
    let children = children(shared, &listed.entry).await?;
    Ok(Some(MessageDetail {
        deliveries,
        children,
        record: listed.record(),
    }))
}

/// The deliveries of a message, with their attempts.
pub(super) async fn deliveries(
    shared: &Shared,
    listed: &Listed,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let of = &listed.entry.shard.keys;
    let pid = keys::pid(listed.entry.position);
    let mut asked = pipe();
    for place in &listed.places {
        let name = keys::delivery(&place.handler, &pid);
        for key in [of.attempts(), of.replays(), of.dead()] {
            asked.cmd("HGET").arg(key).arg(&name);
        }
    }
    if listed.places.is_empty() {
        return Ok(Vec::new());
    }
    let answers: Vec<Option<Vec<u8>>> = shared.look.read_all(&asked).await?;
    listed
        .places
        .iter()
        .zip(answers.chunks(3))
        .map(|(place, answers)| match answers {
            [attempts, replay, dead] => {
                let attempts = read_attempts(attempts.as_deref().unwrap_or_default())?;
                let dead = dead.as_deref().map(Letter::read).transpose()?;
                record(place, attempts, replay.as_deref(), dead)
            }
            _ => Err(StoreError::Damaged("an answer is too short")),
        })
        .collect()
}

fn record(
    place: &Place,
    attempts: Vec<AttemptRecord>,
    replay: Option<&[u8]>,
    dead: Option<Letter>,
) -> Result<DeliveryRecord, StoreError> {
    let replay = match replay {
        None => 0,
        Some(number) => std::str::from_utf8(number)
            .ok()
            .and_then(|number| number.parse().ok())
            .ok_or(StoreError::Damaged(
                "the number of a replay is not readable",
            ))?,
    };
    // An ack leaves no row: it was the attempt after those that failed.
    let failed = attempts.iter().filter(|failed| failed.replay == replay);
    let acked = failed.map(|failed| failed.attempt).max().unwrap_or(0) + 1;
    Ok(DeliveryRecord {
        handler: place.handler.clone(),
        state: place.state,
        attempt: match (place.state, &dead) {
            (DeliveryState::Acked, _) => acked,
            (DeliveryState::Dead, Some(letter)) => letter.attempts,
            _ => place.row.attempts,
        },
        replay,
        due: place.row.waits_for(),
        attempts,
    })
}

/// An attempt as it is stored.
#[derive(Deserialize)]
struct Attempt {
    replay: u32,
    attempt: u32,
    #[serde(flatten)]
    failure: Failure,
}

fn read_attempts(packed: &[u8]) -> Result<Vec<AttemptRecord>, StoreError> {
    let damaged = |_| StoreError::Damaged("a failed attempt is not readable");
    unpack(packed)?
        .into_iter()
        .map(|text| {
            let one: Attempt = serde_json::from_slice(text).map_err(damaged)?;
            Ok(AttemptRecord {
                replay: one.replay,
                attempt: one.attempt,
                failure: one.failure,
            })
        })
        .collect()
}

/// Messages that its handlers emitted, in order.
async fn children(shared: &Shared, entry: &Entry) -> Result<Vec<MessageId>, StoreError> {
    let pid = keys::pid(entry.position);
    let ids: Option<Vec<u8>> = shared
        .look
        .run(cmd("HGET").arg(entry.shard.keys.children()).arg(pid))
        .await?;
    let ids = ids.unwrap_or_default();
    Ok(ids
        .chunks_exact(16)
        .filter_map(|id| Some(MessageId::from_bytes(id.try_into().ok()?)))
        .collect())
}

/// Where a message is: in a log, waiting for its time, or in what outlived its entry.
pub(super) async fn find(
    shared: &Shared,
    handlers: &BTreeMap<String, Registered>,
    id: MessageId,
) -> Result<Option<Found>, StoreError> {
    let shards = shared.shards.all();
    let days: Vec<i64> = keys::days(shared.clock.now(), shared.limits.retention).collect();
    let mut asked = pipe();
    for shard in &shards {
        asked
            .cmd("HGET")
            .arg(shard.keys.delayed_bodies())
            .arg(id.as_bytes());
        let kept = [b"#", &id.as_bytes()[..]].concat();
        asked.cmd("HGET").arg(shard.keys.dead()).arg(kept);
        for day in &days {
            asked
                .cmd("HGET")
                .arg(shard.keys.ids(*day))
                .arg(id.as_bytes());
        }
    }
    if shards.is_empty() {
        return Ok(None);
    }
    let answers: Vec<Option<Vec<u8>>> = shared.look.read_all(&asked).await?;
    for (shard, answers) in shards.iter().zip(answers.chunks(days.len() + 2)) {
        if let Some(body) = &answers[0] {
            let entry = waiting(shard, body)?;
            return Ok(Some(Found {
                entry,
                logged: false,
            }));
        }
        for position in answers[1..]
            .iter()
            .flatten()
            .filter_map(|pid| position(pid))
        {
            let found = at(shared, handlers, shard, position).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn position(pid: &[u8]) -> Option<u64> {
    keys::position(std::str::from_utf8(pid).ok()?)
}

/// The message at one place: its entry, or a copy of it.
async fn at(
    shared: &Shared,
    handlers: &BTreeMap<String, Registered>,
    shard: &Arc<Shard>,
    position: u64,
) -> Result<Option<Found>, StoreError> {
    let (id, pid) = (entry_id(position), keys::pid(position));
    let mut asked = pipe();
    asked.cmd("XRANGE").arg(shard.keys.log()).arg(&id).arg(&id);
    for handler in handlers.keys() {
        let name = keys::delivery(handler, &pid);
        asked.cmd("HGET").arg(shard.keys.copies()).arg(&name);
        asked.cmd("HGET").arg(shard.keys.dead()).arg(&name);
    }
    let mut answers: Vec<Value> = shared.look.read_all(&asked).await?;
    let mut logged = entries::read(shard, answers.remove(0))?;
    entries::fill(shared, &mut logged).await?;
    if let Some(entry) = logged.pop() {
        return Ok(Some(Found {
            entry,
            logged: true,
        }));
    }
    for pair in answers.chunks(2) {
        let fields = match pair {
            [Value::BulkString(copy), _] => entries::unpacked(copy)?,
            [_, Value::BulkString(letter)] => Letter::read(letter)?.fields,
            _ => continue,
        };
        let entry = Entry {
            shard: shard.clone(),
            position,
            fields,
            delayed: false,
            dropped: false,
        };
        return Ok(Some(Found {
            entry,
            logged: false,
        }));
    }
    Ok(None)
}
