//! Where a handler should look next, of the shards that it reads: what this node knows of them without asking.
//!
//! A look costs what there is to find, however many shards there are.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use coordinator_message::Timestamp;

/// Before every other time.
pub(super) const AT_ONCE: Timestamp = Timestamp::from_millis(0);

/// By the index of the shard.
#[derive(Debug, Default)]
pub(super) struct Hints {
    read: HashSet<u32>,
    /// There may be something new in their logs; who waits longest is first, and each is in it once.
    news: VecDeque<u32>,
    listed: HashSet<u32>,
    /// When something that waits there is due.
    due: HashMap<u32, Timestamp>,
    by_time: BTreeSet<(Timestamp, u32)>,
}

// === impl Hints ===

impl Hints {
    /// Of shards of which nothing is known: all are to be looked at.
    pub(super) fn of(shards: impl Iterator<Item = u32>) -> Self {
        let mut hints = Self::default();
        for shard in shards {
            hints.read.insert(shard);
            hints.news(shard);
            hints.due(shard, AT_ONCE);
        }
        hints
    }

    /// There may be something new in the log. False if the handler does not read that shard.
    pub(super) fn news(&mut self, shard: u32) -> bool {
        if !self.read.contains(&shard) {
            return false;
        }
        if self.listed.insert(shard) {
            self.news.push_back(shard);
        }
        true
    }

    /// Something is due then, or earlier. False if the handler does not read that shard.
    pub(super) fn due(&mut self, shard: u32, at: Timestamp) -> bool {
        if !self.read.contains(&shard) {
            return false;
        }
        let known = self.due.get(&shard).copied();
        if known.is_none_or(|known| at < known) {
            if let Some(known) = known {
                self.by_time.remove(&(known, shard));
            }
            self.due.insert(shard, at);
            self.by_time.insert((at, shard));
        }
        true
    }

    /// Up to `most` shards in which something is due.
    pub(super) fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<u32> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((at, shard)) = self.by_time.first().copied()
            && at <= now
        {
            self.by_time.pop_first();
            self.due.remove(&shard);
            taken.push(shard);
        }
        taken
    }

    /// Up to `most` shards that may have something new.
    pub(super) fn take_news(&mut self, most: usize) -> Vec<u32> {
        let count = most.min(self.news.len());
        let taken: Vec<u32> = self.news.drain(..count).collect();
        for shard in &taken {
            self.listed.remove(shard);
        }
        taken
    }

    /// When the next is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn every_shard_is_looked_at_first_and_then_only_where_there_is_news() {
        let mut hints = Hints::of(0..3);
        assert_eq!(hints.take_due(at(5), 9), [0, 1, 2]);
        assert_eq!(hints.take_news(2), [0, 1]);
        assert!(hints.news(0) && hints.news(0));
        assert!(!hints.news(7), "nobody reads it");
        assert_eq!(hints.take_news(9), [2, 0]);
        assert_eq!(hints.take_news(9), [0_u32; 0]);
    }

    #[test]
    fn the_earliest_of_two_times_counts() {
        let mut hints = Hints::of(0..2);
        hints.take_due(at(0), 9);
        hints.due(0, at(30));
        hints.due(0, at(20));
        hints.due(0, at(40));
        hints.due(1, at(25));
        assert_eq!(hints.next_due(), Some(at(20)));
        assert_eq!(hints.take_due(at(20), 9), [0]);
        assert_eq!(hints.take_due(at(40), 9), [1]);
        assert_eq!(hints.next_due(), None);
    }
}
