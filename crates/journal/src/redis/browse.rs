//! What operators look at: pages of messages.

mod cursor;
pub(super) mod merge;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::cursor::Cursor;
use self::merge::{Merge, Wanted};
use super::codec::{Stored, key_digest};
use super::entries::Entry;
use super::error::StoreError;
use super::keys;
use super::places::{self, Place};
use super::registry::{self, Registered};
use super::shard::Shard;
use super::state::Shared;
use crate::{MessageQuery, MessageRecord, MessageState, Page};

/// Most rows of one page.
pub(super) const MOST: usize = 500;
/// Most entries that one call looks at when the filter leaves most of them out.
const SCANNED: usize = 10_000;

/// One row of a list, with what it was made of.
pub(super) struct Listed {
    pub(super) entry: Entry,
    pub(super) stored: Stored,
    pub(super) places: Vec<Place>,
}

/// See [`crate::Journal::messages`].
pub(super) async fn messages(
    shared: &Shared,
    query: MessageQuery,
) -> Result<Page<MessageRecord>, StoreError> {
    let page = list(shared, &query).await?;
    Ok(Page {
        items: page.items.into_iter().map(Listed::record).collect(),
        next: page.next,
    })
}

/// One page, with all that was found out about its messages.
pub(super) async fn list(
    shared: &Shared,
    query: &MessageQuery,
) -> Result<Page<Listed>, StoreError> {
    let limit = query.limit.clamp(1, MOST);
    let mut cursor = Cursor::read(query.cursor.as_deref())?;
    registry::learn_shards(shared).await?;
    let handlers = registry::handlers(shared).await?;
    let filter = Filter::new(query);
    let wanted = Wanted {
        shards: filter.shards(shared, &handlers),
        oldest_first: query.oldest_first,
        cursor: &cursor,
        since: query.since,
        until: query.until,
        logged: query.state != Some(MessageState::Delayed),
        delayed: query.handler.is_none()
            && query
                .state
                .is_none_or(|state| state == MessageState::Delayed),
        likely: limit,
    };
    let mut merge = Merge::begin(shared, wanted).await?;
    let (mut items, mut scanned, mut ended) = (Vec::new(), 0, false);
    while items.len() < limit && scanned < SCANNED && !ended {
        // No more than are missing: so none that matches is passed over at the end of a page.
        let mut some = Vec::new();
        while some.len() < limit - items.len() && scanned < SCANNED {
            let Some(entry) = merge.next(shared).await? else {
                ended = true;
                break;
            };
            scanned += 1;
            cursor.pass(&entry, query.oldest_first);
            if let Some(stored) = filter.matching(&entry)? {
                some.push((entry, stored));
            }
        }
        let entries: Vec<&Entry> = some.iter().map(|(entry, _)| entry).collect();
        let places = places::of(shared, &handlers, &entries).await?;
        for ((entry, stored), places) in some.into_iter().zip(places) {
            let listed = Listed {
                entry,
                stored,
                places,
            };
            if filter.takes(&listed) {
                items.push(listed);
            }
        }
    }
    ended = ended || (items.len() == limit && merge.next(shared).await?.is_none());
    let next = (query.oldest_first || !ended).then(|| cursor.text());
    Ok(Page { items, next })
}

/// What a list asks for, as entries have it.
struct Filter<'a> {
    query: &'a MessageQuery,
    key: Option<[u8; 16]>,
}

// === impl Filter ===

impl<'a> Filter<'a> {
    fn new(query: &'a MessageQuery) -> Self {
        Self {
            query,
            key: query.key.as_deref().map(key_digest),
        }
    }

    /// The shards in which something may match.
    fn shards(&self, shared: &Shared, handlers: &BTreeMap<String, Registered>) -> Vec<Arc<Shard>> {
        let reader = match &self.query.handler {
            None => None,
            Some(id) => Some(match handlers.get(id) {
                Some(handler) => handler,
                None => return Vec::new(),
            }),
        };
        let partition = self.key.as_ref().map(|key| shared.partition(Some(key)));
        let mut shards = shared.shards.all();
        shards.retain(|shard| {
            reader.is_none_or(|reader| reader.reads(&shard.lane))
                && partition.is_none_or(|partition| shard.partition == partition)
        });
        shards.sort_by_key(|shard| keys::shard_name(&shard.lane, shard.partition));
        shards
    }

    /// The message, if it is what was asked for, but for its state.
    fn matching(&self, entry: &Entry) -> Result<Option<Stored>, StoreError> {
        let query = self.query;
        if query
            .ty
            .as_ref()
            .is_some_and(|ty| ty.as_str().as_bytes() != entry.fields.ty())
            || self
                .key
                .as_ref()
                .is_some_and(|key| key[..] != *entry.fields.key())
        {
            return Ok(None);
        }
        let stored = entry.fields.decode()?;
        let message = &stored.envelope;
        let accepted = entry.accepted(&stored);
        let matches = query.correlation.is_none_or(|id| message.correlation == id)
            && query
                .source
                .as_ref()
                .is_none_or(|source| message.source == *source)
            && query
                .text
                .as_ref()
                .is_none_or(|text| contains(&message.data, text.as_bytes()))
            && query.since.is_none_or(|since| accepted >= since)
            && query.until.is_none_or(|until| accepted < until);
        Ok(matches.then_some(stored))
    }

    fn takes(&self, listed: &Listed) -> bool {
        let state = match &self.query.handler {
            None => listed.state(),
            Some(id) => match listed.places.iter().find(|place| place.handler == *id) {
                Some(place) => places::of_message(place.state),
                None => return false,
            },
        };
        self.query.state.is_none_or(|wanted| wanted == state)
    }
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    text.is_empty() || data.windows(text.len()).any(|window| window == text)
}

// === impl Listed ===

impl Listed {
    fn state(&self) -> MessageState {
        if self.entry.delayed {
            MessageState::Delayed
        } else {
            places::worst(&self.places)
        }
    }

    pub(super) fn record(self) -> MessageRecord {
        MessageRecord {
            accepted: self.entry.accepted(&self.stored),
            state: self.state(),
            deliver_at: self.stored.deliver_at,
            payload_dropped: self.entry.dropped,
            message: self.stored.envelope,
        }
    }
}
