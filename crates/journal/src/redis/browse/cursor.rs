//! Where a page ended, over all shards.
//!
//! Newest first, one place in the common order is enough: what comes later is newer. Oldest first, a list is followed,
//! and the next entry of another shard may be a little older than the last one here: nodes write at once, and their
//! clocks differ. So the cursor also has the place in every shard that was written lately.

use std::collections::BTreeMap;

use coordinator_message::Timestamp;

use super::merge;
use crate::UnknownCursor;
use crate::redis::codec::key_digest;
use crate::redis::entries::{Entry, hex, unhex};
use crate::redis::error::StoreError;
use crate::redis::keys;
use crate::redis::shard::Shard;

/// So much older than what was seen of another shard may be what is new in this one.
const SKEW_MS: u64 = 10_000;
/// Shards that have their own place at most. With more that were written within [`SKEW_MS`], what comes late is missed.
const OWN: usize = 100;

/// Where a page ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last one taken: time and shard.
    at: Option<(u64, String)>,
    /// Last positions seen of shards, by a digest of their names.
    own: BTreeMap<String, u64>,
}

impl Cursor {
    /// What [`Cursor::text`] wrote; a place that no page can end at is refused.
    pub(super) fn read(text: Option<&str>) -> Result<Self, StoreError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        read(text).ok_or(StoreError::Cursor(UnknownCursor))
    }

    pub(super) fn text(&self) -> String {
        let (position, name) = self.at.clone().unwrap_or_default();
        let mut text = format!("{position:x}.{}", hex(name.as_bytes()));
        for (shard, position) in &self.own {
            text.push_str(&format!("~{shard}-{position:x}"));
        }
        text
    }

    /// Moves on over an entry.
    pub(super) fn pass(&mut self, entry: &Entry, oldest_first: bool) {
        self.at = Some(entry.order());
        if oldest_first && !entry.delayed {
            self.own.insert(digest(&entry.shard), entry.position);
            if self.own.len() > OWN {
                let oldest = entry.position.saturating_sub(SKEW_MS << 20);
                self.own.retain(|_, position| *position > oldest);
            }
            if self.own.len() > OWN {
                self.own.clear();
            }
        }
    }

    /// Is this one still to come?
    pub(super) fn is_after(&self, order: &(u64, String), oldest_first: bool) -> bool {
        match &self.at {
            None => true,
            Some(at) if oldest_first => order > at,
            Some(at) => order < at,
        }
    }

    /// Where to go on in the log of one shard, as a bound for XRANGE or XREVRANGE.
    pub(super) fn within(&self, shard: &Shard, oldest_first: bool) -> Option<String> {
        let (position, name) = self.at.as_ref()?;
        let shard_name = keys::shard_name(&shard.lane, shard.partition);
        if oldest_first && let Some(own) = self.own.get(&digest(shard)) {
            return Some(format!("({}", merge::id(*own)));
        }
        if oldest_first && !self.own.is_empty() {
            let early = (position >> 20).saturating_sub(SKEW_MS);
            let early = Timestamp::from_millis(early.cast_signed());
            return Some(format!("({}", merge::first_of(early)));
        }
        // At the same position, shards go by name.
        let included = if oldest_first {
            shard_name > *name
        } else {
            shard_name < *name
        };
        let id = merge::id(*position);
        Some(if included { id } else { format!("({id}") })
    }
}

fn read(text: &str) -> Option<Cursor> {
    let mut parts = text.split('~');
    let (position, name) = parts.next()?.split_once('.')?;
    let position = u64::from_str_radix(position, 16).ok()?;
    let name = String::from_utf8(unhex(name)?).ok()?;
    let mut own = BTreeMap::new();
    for part in parts {
        let (shard, position) = part.split_once('-')?;
        unhex(shard)?;
        own.insert(shard.to_owned(), u64::from_str_radix(position, 16).ok()?);
    }
    (own.len() <= OWN).then_some(Cursor {
        at: (!name.is_empty()).then_some((position, name)),
        own,
    })
}

fn digest(shard: &Shard) -> String {
    let name = keys::shard_name(&shard.lane, shard.partition);
    hex(&key_digest(&name)[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        let cursor = Cursor {
            at: Some((77, "orders\u{0}3".to_owned())),
            own: BTreeMap::from([("0a0b0c0d0e0f".to_owned(), 5)]),
        };
        assert_eq!(Cursor::read(Some(&cursor.text())).unwrap(), cursor);
        let empty = Cursor::default();
        assert_eq!(Cursor::read(Some(&empty.text())).unwrap(), empty);
        for foreign in [
            "",
            "newest",
            "-1",
            "99999999999999999999999999",
            "1.xx",
            "1.00~2",
        ] {
            assert!(Cursor::read(Some(foreign)).is_err(), "{foreign}");
        }
    }
}
