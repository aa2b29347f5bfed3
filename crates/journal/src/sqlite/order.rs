//! Who holds an ordering key of one handler, and who waits behind. Pure: positions in, positions out.
//!
//! Of one key, what waits as a row comes before what waits in memory: rows are made of the oldest first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use coordinator_message::Envelope;

/// What order holds within: messages of one key in one lane come one at a time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) lane: Box<str>,
    pub(super) key: Box<str>,
}

/// The keys that are held. One without a chain is free.
#[derive(Debug, Default)]
pub(super) struct Order {
    chains: HashMap<Arc<Key>, Chain>,
}

/// One key that is held: by a delivery that is handed out, or waits for its retry, or was given up.
#[derive(Debug, Default)]
struct Chain {
    /// Exception rows that wait behind.
    rows: u64,
    /// Positions of the log that were looked at and wait behind, in memory only.
    held: BTreeSet<u64>,
}

impl Key {
    /// Of a message; `None` if it has no ordering key.
    pub(super) fn of(message: &Envelope) -> Option<Arc<Self>> {
        let key = message.key.as_deref()?;
        Some(Self::new(&message.lane, key))
    }

    pub(super) fn new(lane: &str, key: &str) -> Arc<Self> {
        Arc::new(Self {
            lane: lane.into(),
            key: key.into(),
        })
    }
}

impl Order {
    /// A message of the log: true if it holds the key from now on, false if it waits behind.
    pub(super) fn enter(&mut self, key: &Arc<Key>, position: u64) -> bool {
        if let Some(chain) = self.chains.get_mut(key) {
            chain.held.insert(position);
            return false;
        }
        self.chains.insert(key.clone(), Chain::default());
        true
    }

    /// Does somebody hold this key?
    pub(super) fn is_held(&self, key: &Key) -> bool {
        self.chains.contains_key(key)
    }

    /// An exception row that holds the key; `rows` wait behind it.
    pub(super) fn restore(&mut self, key: Arc<Key>, rows: u64) {
        self.chains.entry(key).or_default().rows += rows;
    }

    /// How many rows wait behind.
    pub(super) fn rows(&self, key: &Key) -> u64 {
        self.chains.get(key).map_or(0, |chain| chain.rows)
    }

    /// Positions of the log that wait behind, in memory only.
    pub(super) fn held(&self, key: &Key) -> impl Iterator<Item = u64> {
        self.chains
            .get(key)
            .into_iter()
            .flat_map(|chain| chain.held.iter().copied())
    }

    /// The key passes on: to a row if there is one, else to the position that is answered, else it is free.
    pub(super) fn pass_on(&mut self, key: &Key, to_row: bool) -> Option<u64> {
        let chain = self.chains.get_mut(key)?;
        if to_row {
            chain.rows = chain.rows.saturating_sub(1);
            return None;
        }
        let next = chain.held.pop_first();
        if next.is_none() {
            self.chains.remove(key);
        }
        next
    }

    /// What waited in memory waits as a row now.
    pub(super) fn write_down(&mut self, key: &Key, position: u64) {
        if let Some(chain) = self.chains.get_mut(key)
            && chain.held.remove(&position)
        {
            chain.rows += 1;
        }
    }

    /// A row that waited behind is gone.
    pub(super) fn leave(&mut self, key: &Key) {
        if let Some(chain) = self.chains.get_mut(key) {
            chain.rows = chain.rows.saturating_sub(1);
        }
    }

    /// The key is free, and nothing waits behind it any more.
    pub(super) fn clear(&mut self, key: &Key) {
        self.chains.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_passed_on_in_log_order_and_then_free() {
        let (mut order, key) = (Order::default(), Key::new("orders", "o-1"));
        assert!(order.enter(&key, 3));
        assert!(!order.enter(&key, 9));
        assert!(!order.enter(&key, 5));
        assert!(order.enter(&Key::new("orders", "o-2"), 6));
        assert!(order.enter(&Key::new("refunds", "o-1"), 7));
        assert_eq!(order.pass_on(&key, false), Some(5));
        assert_eq!(order.pass_on(&key, false), Some(9));
        assert_eq!(order.pass_on(&key, false), None);
        assert!(order.enter(&key, 11), "nobody holds it");
    }

    #[test]
    fn rows_come_before_what_is_held() {
        let (mut order, key) = (Order::default(), Key::new("orders", "o-1"));
        assert!(order.enter(&key, 1));
        for position in 2..=4 {
            order.enter(&key, position);
        }
        order.write_down(&key, 2);
        assert_eq!((order.rows(&key), order.held(&key).count()), (1, 2));
        assert_eq!(order.pass_on(&key, true), None);
        assert_eq!(order.pass_on(&key, false), Some(3));
        order.clear(&key);
        assert!(order.enter(&key, 5));
    }
}
