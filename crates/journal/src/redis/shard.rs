//! One shard, as this node knows it.

use std::sync::{Arc, Mutex, PoisonError};

use super::keys::ShardKeys;

/// One partition of one lane.
#[derive(Debug)]
pub(super) struct Shard {
    /// What tokens call it on this node.
    pub(super) index: u32,
    pub(super) lane: String,
    pub(super) partition: u32,
    pub(super) keys: ShardKeys,
    node: Mutex<Incarnation>,
    base: String,
}

/// This node, as other nodes see it on one shard: while its heartbeat is there, what it holds is its own.
#[derive(Debug, Clone)]
pub(super) struct Incarnation {
    pub(super) name: Arc<str>,
    /// Grows with each.
    pub(super) number: u64,
    /// Was its heartbeat written?
    pub(super) alive: bool,
}

// === impl Shard ===

impl Shard {
    pub(super) fn new(index: u32, lane: &str, partition: u32, keys: ShardKeys, node: &str) -> Self {
        Self {
            index,
            lane: lane.to_owned(),
            partition,
            keys,
            node: Mutex::new(Incarnation {
                name: format!("{node}.0").into(),
                number: 0,
                alive: false,
            }),
            base: node.to_owned(),
        }
    }

    /// Who this node is now.
    pub(super) fn incarnation(&self) -> Incarnation {
        self.lock().clone()
    }

    /// Its heartbeat was written.
    pub(super) fn began(&self, number: u64) {
        let mut now = self.lock();
        if now.number == number {
            now.alive = true;
        }
    }

    /// Its heartbeat was gone: what it held is not its own any more, and it goes on under another name.
    /// False if somebody noticed before.
    pub(super) fn died(&self, number: u64) -> bool {
        let mut now = self.lock();
        if now.number != number {
            return false;
        }
        let next = number + 1;
        *now = Incarnation {
            name: format!("{}.{next}", self.base).into(),
            number: next,
            alive: false,
        };
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Incarnation> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
