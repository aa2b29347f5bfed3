//! The logs of all shards, and what is delayed, as one list by time.

use std::collections::VecDeque;
use std::sync::Arc;

use ::redis::{Value, cmd, pipe};
use coordinator_message::Timestamp;

use super::cursor::Cursor;
use crate::redis::entries::{self, Entry};
use crate::redis::error::StoreError;
use crate::redis::keys;
use crate::redis::shard::Shard;
use crate::redis::state::Shared;

/// Most entries that are read ahead of one shard.
const AHEAD: usize = 256;
/// Delayed messages of one shard that are listed; the soonest.
const DELAYED: isize = 10_000;

/// What is to be merged.
pub(super) struct Wanted<'a> {
    pub(super) shards: Vec<Arc<Shard>>,
    pub(super) oldest_first: bool,
    pub(super) cursor: &'a Cursor,
    /// Written at or after, and before.
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) logged: bool,
    pub(super) delayed: bool,
    /// How many are likely to be taken.
    pub(super) likely: usize,
}

/// A list that is read as far as it is taken.
pub(super) struct Merge {
    tails: Vec<Tail>,
    oldest_first: bool,
    ahead: usize,
    /// Entry ids between which is read, both included.
    floor: String,
    ceiling: String,
}

struct Tail {
    shard: Arc<Shard>,
    /// Where reading goes on; `None` at the end.
    next: Option<String>,
    read: VecDeque<Entry>,
}

impl Merge {
    pub(super) async fn begin(shared: &Shared, wanted: Wanted<'_>) -> Result<Self, StoreError> {
        let shards = wanted.shards.len().max(1);
        let mut merge = Self {
            tails: Vec::with_capacity(shards),
            oldest_first: wanted.oldest_first,
            ahead: (wanted.likely * 2 / shards + 8).min(AHEAD),
            floor: wanted.since.map_or("-".to_owned(), first_of),
            ceiling: wanted
                .until
                .map_or("+".to_owned(), |until| format!("({}", first_of(until))),
        };
        for shard in &wanted.shards {
            if wanted.logged {
                let next = match wanted.cursor.within(shard, merge.oldest_first) {
                    Some(bound) => bound,
                    None if merge.oldest_first => merge.floor.clone(),
                    None => merge.ceiling.clone(),
                };
                merge.tails.push(Tail {
                    shard: shard.clone(),
                    next: Some(next),
                    read: VecDeque::new(),
                });
            }
            if wanted.delayed {
                let read = delayed(shared, shard, &wanted).await?;
                merge.tails.push(Tail {
                    shard: shard.clone(),
                    next: None,
                    read: read.into(),
                });
            }
        }
        Ok(merge)
    }

    /// The next in the order of the list; `None` at its end.
    pub(super) async fn next(&mut self, shared: &Shared) -> Result<Option<Entry>, StoreError> {
        self.read_on(shared).await?;
        let heads = self.tails.iter().enumerate();
        let heads = heads.filter_map(|(at, tail)| Some((tail.read.front()?.order(), at)));
        let next = if self.oldest_first {
            heads.min()
        } else {
            heads.max()
        };
        Ok(next.and_then(|(_, at)| self.tails[at].read.pop_front()))
    }

    /// Reads on where nothing is read ahead.
    async fn read_on(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let mut hungry: Vec<&mut Tail> = self
            .tails
            .iter_mut()
            .filter(|tail| tail.read.is_empty() && tail.next.is_some())
            .collect();
        if hungry.is_empty() {
            return Ok(());
        }
        let mut asked = pipe();
        for tail in &hungry {
            let from = tail.next.as_deref().unwrap_or("-");
            let (name, last) = if self.oldest_first {
                ("XRANGE", &self.ceiling)
            } else {
                ("XREVRANGE", &self.floor)
            };
            let mut range = cmd(name);
            range.arg(tail.shard.keys.log()).arg(from).arg(last);
            asked.add_command(range.arg("COUNT").arg(self.ahead).to_owned());
        }
        let answers: Vec<Value> = shared.look.read_all(&asked).await?;
        for (tail, answer) in hungry.iter_mut().zip(answers) {
            let mut read = entries::read(&tail.shard, answer)?;
            entries::fill(shared, &mut read).await?;
            let more = read.len() >= self.ahead;
            tail.next = read
                .last()
                .filter(|_| more)
                .map(|last| format!("({}", id(last.position)));
            tail.read = read.into();
        }
        // With a filter, most of what is read is skipped: fewer round trips from here on.
        self.ahead = (self.ahead * 2).min(AHEAD);
        Ok(())
    }
}

/// Delayed messages of one shard, in the order of the list.
async fn delayed(
    shared: &Shared,
    shard: &Arc<Shard>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Entry>, StoreError> {
    let ids: Vec<Vec<u8>> = shared
        .look
        .run(
            cmd("ZRANGE")
                .arg(shard.keys.delayed())
                .arg(0)
                .arg(DELAYED - 1),
        )
        .await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let bodies: Vec<Option<Vec<u8>>> = shared
        .look
        .run(cmd("HMGET").arg(shard.keys.delayed_bodies()).arg(ids))
        .await?;
    let mut found = Vec::new();
    // One that is not there any more has become due in between.
    for body in bodies.into_iter().flatten() {
        found.push(waiting(shard, &body)?);
    }
    found.retain(|entry| {
        let at = keys::written(entry.position);
        wanted.cursor.is_after(&entry.order(), wanted.oldest_first)
            && wanted.since.is_none_or(|since| at >= since)
            && wanted.until.is_none_or(|until| at < until)
    });
    found.sort_by_key(Entry::order);
    if !wanted.oldest_first {
        found.reverse();
    }
    Ok(found)
}

/// A delayed message as it is listed.
pub(in crate::redis) fn waiting(shard: &Arc<Shard>, body: &[u8]) -> Result<Entry, StoreError> {
    let fields = entries::unpacked(body)?;
    let accepted = fields.decode()?.accepted.unwrap_or_default();
    Ok(Entry {
        shard: shard.clone(),
        position: keys::position(&first_of(accepted)).unwrap_or_default(),
        fields,
        delayed: true,
        dropped: false,
    })
}

/// The first id that an entry of this time can have.
pub(super) fn first_of(at: Timestamp) -> String {
    format!("{}-0", at.as_millis().max(0))
}

/// A position as Redis writes it.
pub(in crate::redis) fn id(position: u64) -> String {
    format!("{}-{}", position >> 20, position & ((1 << 20) - 1))
}
