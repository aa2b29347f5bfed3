//! One shard, as this node knows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use coordinator_message::Timestamp;
use tokio::sync::mpsc;

use super::front::{self, Group};
use super::keys::ShardKeys;
use super::state::Shared;

/// One partition of one lane.
#[derive(Debug)]
pub(super) struct Shard {
    /// What tokens call it on this node.
    pub(super) index: u32,
    pub(super) lane: String,
    pub(super) partition: u32,
    pub(super) keys: ShardKeys,
    node: Mutex<Incarnation>,
    publishes: OnceLock<mpsc::Sender<Group>>,
    /// When the next delayed message is due, as far as this node knows.
    delayed: Mutex<Option<Timestamp>>,
    /// Was no bound half reached when something was written last?
    room: AtomicBool,
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
            publishes: OnceLock::new(),
            delayed: Mutex::default(),
            room: AtomicBool::new(false),
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

    /// The queue of publishes.
    pub(super) fn publishes(self: &Arc<Self>, shared: &Arc<Shared>) -> &mpsc::Sender<Group> {
        self.publishes
            .get_or_init(|| front::publishes(shared, self))
    }

    /// Are the bounds far away, as far as this node knows?
    pub(super) fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed)
    }

    /// What a write found.
    pub(super) fn found_room(&self, room: bool) {
        self.room.store(room, Ordering::Relaxed);
    }

    /// When the next delayed message is due.
    pub(super) fn delayed(&self) -> Option<Timestamp> {
        *self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was accepted that is due then.
    pub(super) fn delayed_until(&self, due: Timestamp) {
        let mut next = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(next.map_or(due, |known| known.min(due)));
    }

    /// What the log's server says.
    pub(super) fn next_delayed(&self, due: Option<Timestamp>) {
        *self.delayed.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Incarnation> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
