//! Pages of dead letters.

use std::sync::Arc;

use ::redis::cmd;
use bytes::Bytes;
use coordinator_message::{MessageType, Timestamp};

use super::browse::MOST;
use super::codec::{Fields, unpack};
use super::entries::{hex, unhex};
use super::error::StoreError;
use super::keys;
use super::registry;
use super::shard::Shard;
use super::state::Shared;
use crate::{DeadLetter, DeadLetterQuery, Failure, Page, UnknownCursor};

/// Members that are read at once.
const CHUNK: usize = 256;

/// A dead letter as it is stored.
pub(super) struct Letter {
    pub(super) died: Timestamp,
    pub(super) attempts: u32,
    pub(super) failure: Failure,
    pub(super) fields: Fields,
}

/// Where a page ended: time, shard and member.
type Place = (i64, String, String);

/// See [`crate::Journal::dead_letters`].
pub(super) async fn letters(
    shared: &Shared,
    query: DeadLetterQuery,
) -> Result<Page<DeadLetter>, StoreError> {
    let limit = query.limit.clamp(1, MOST);
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    registry::learn_shards(shared).await?;
    let mut found: Vec<(Place, DeadLetter)> = Vec::new();
    for shard in shared.shards.all() {
        // One more than a page, of each shard: the page is among them, and so is whether there is another.
        found.extend(of_shard(shared, &shard, &query, after.as_ref(), limit + 1).await?);
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(place, _)| text(place));
    Ok(Page {
        items: found.into_iter().map(|(_, letter)| letter).collect(),
        next,
    })
}

async fn of_shard(
    shared: &Shared,
    shard: &Shard,
    query: &DeadLetterQuery,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<(Place, DeadLetter)>, StoreError> {
    let name = keys::shard_name(&shard.lane, shard.partition);
    let since = query
        .since
        .map_or("-inf".to_owned(), |at| at.as_millis().to_string());
    let mut until = query
        .until
        .map_or("+inf".to_owned(), |at| format!("({}", at.as_millis()));
    if let Some((died, ..)) = after
        && query.until.is_none_or(|at| *died < at.as_millis())
    {
        until = died.to_string();
    }
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let mut range = cmd("ZREVRANGEBYSCORE");
        range.arg(shard.keys.dead_times()).arg(&until).arg(&since);
        range.arg("WITHSCORES").arg("LIMIT").arg(offset).arg(CHUNK);
        let members: Vec<(String, f64)> = shared.look.read(&range).await?;
        let last = members.len() < CHUNK;
        offset += members.len();
        let members = members
            .into_iter()
            .map(|(member, died)| (died as i64, name.clone(), member))
            .filter(|place| after.is_none_or(|after| place < after))
            .filter(|(_, _, member)| {
                query.handler.as_ref().is_none_or(|handler| {
                    member
                        .rsplit_once('|')
                        .is_some_and(|(named, _)| named == handler)
                })
            });
        let members: Vec<Place> = members.collect();
        found.extend(read_all(shared, shard, members, query.ty.as_ref()).await?);
        if last || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn read_all(
    shared: &Shared,
    shard: &Shard,
    members: Vec<Place>,
    ty: Option<&MessageType>,
) -> Result<Vec<(Place, DeadLetter)>, StoreError> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = cmd("HMGET");
    get.arg(shard.keys.dead());
    for (_, _, member) in &members {
        get.arg(member);
    }
    let bodies: Vec<Option<Vec<u8>>> = shared.look.read(&get).await?;
    let mut found = Vec::new();
    for (place, body) in members.into_iter().zip(bodies) {
        // One that is not there any more was replayed in between.
        let Some(body) = body else { continue };
        let letter = Letter::read(&body)?;
        if ty.is_some_and(|ty| ty.as_str().as_bytes() != letter.fields.ty()) {
            continue;
        }
        let handler = place
            .2
            .rsplit_once('|')
            .map(|(handler, _)| handler.to_owned());
        let letter = DeadLetter {
            handler: handler.ok_or(Letter::DAMAGED)?,
            message: Arc::clone(&letter.fields.decode()?.envelope),
            died: letter.died,
            attempts: letter.attempts,
            failure: letter.failure,
        };
        found.push((place, letter));
    }
    Ok(found)
}

fn read_cursor(text: &str) -> Result<Place, StoreError> {
    let read = || {
        let (died, rest) = text.split_once('.')?;
        let (name, member) = rest.split_once('.')?;
        let words = |hexed| String::from_utf8(unhex(hexed)?).ok();
        Some((died.parse().ok()?, words(name)?, words(member)?))
    };
    read().ok_or(StoreError::Cursor(UnknownCursor))
}

fn text((died, name, member): &Place) -> String {
    format!("{died}.{}.{}", hex(name.as_bytes()), hex(member.as_bytes()))
}

// === impl Letter ===

impl Letter {
    const DAMAGED: StoreError = StoreError::Damaged("a dead letter is not readable");

    /// Its six packed fields.
    pub(super) fn read(packed: &[u8]) -> Result<Self, StoreError> {
        let [died, attempts, _replay, failure, meta, data] = unpack(packed)?[..] else {
            return Err(Self::DAMAGED);
        };
        let number = |bytes| -> Result<i64, StoreError> {
            let text = std::str::from_utf8(bytes).map_err(|_| Self::DAMAGED)?;
            text.parse().map_err(|_| Self::DAMAGED)
        };
        let count = |bytes| u32::try_from(number(bytes)?).map_err(|_| Self::DAMAGED);
        Ok(Self {
            died: Timestamp::from_millis(number(died)?),
            attempts: count(attempts)?,
            failure: serde_json::from_slice(failure).map_err(|_| Self::DAMAGED)?,
            fields: Fields {
                meta: meta.to_vec(),
                data: Bytes::copy_from_slice(data),
            },
        })
    }
}
