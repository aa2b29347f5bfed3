//! One handler that is open on this node: what it is bound to, what it holds, and what waits to be handed out.
//!
//! The feeder (`feed.rs`) reads and deposits here; [`RedisDeliveries`](super::deliveries) takes. So a wait that is
//! dropped loses nothing. No more is read than was asked for, and for a handler in a hurry the pages after that.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coordinator_message::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::front::Batch;
use super::held::{Claim, Found, Held, Stage};
use super::hints::{AT_ONCE, Hints};
use super::pace::Pace;
use super::shard::Shard;
use super::state::{ABREAST, Shared};
use crate::{Delivery, Token};

/// Most entries of one read of the log.
pub(super) const PAGE: usize = 512;

/// What this node holds of one handler.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) name: Arc<str>,
    paused: AtomicBool,
    /// It is not served here any more: its stream has ended, and its feeder ends.
    shut: AtomicBool,
    /// Held by its feeder for as long as that runs.
    pub(super) feeding: tokio::sync::Mutex<()>,
    feed: Mutex<Feed>,
    /// Wakes the feeder.
    pub(super) work: Notify,
    /// Wakes who waits for deliveries.
    pub(super) ready: Notify,
    /// Queues of settles, by shard.
    fronts: Mutex<HashMap<u32, mpsc::Sender<Batch>>>,
}

/// What the handler is bound to, as of its last opening.
#[derive(Debug)]
pub(super) struct View {
    pub(super) generation: u64,
    pub(super) order: bool,
    /// By their index.
    pub(super) shards: BTreeMap<u32, Bound>,
}

/// One shard that a handler reads.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) shard: Arc<Shard>,
    /// Position that each type's binding starts after.
    pub(super) starts: Arc<HashMap<Vec<u8>, u64>>,
}

#[derive(Debug, Default)]
struct Feed {
    view: Option<Arc<View>>,
    /// How many the waiting call takes at most, or how many are read ahead of it; 0 if nothing is to be read.
    wanted: usize,
    pace: Pace,
    buffer: VecDeque<Place>,
    held: HashMap<Place, Held>,
    hints: Hints,
}

/// Shard and position.
type Place = (u32, u64);

/// What the feeder is to do.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing until it is woken, or then.
    Idle { due: Option<Timestamp> },
    /// Read so many.
    Read {
        view: Arc<View>,
        want: usize,
        due: Vec<Bound>,
        news: Vec<Bound>,
    },
}

// === impl Feed ===

impl Feed {
    /// How many are to be read now. Of several pages only whole ones: else the next read is for the few that were taken
    /// when it began, and what is taken meanwhile waits for the one after it.
    fn wants(&self) -> usize {
        let wants = self.wanted.saturating_sub(self.buffer.len());
        if wants < PAGE && self.wanted > PAGE {
            return 0;
        }
        wants
    }
}

// === impl Handler ===

impl Handler {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            paused: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            feeding: tokio::sync::Mutex::default(),
            feed: Mutex::default(),
            work: Notify::new(),
            ready: Notify::new(),
            fronts: Mutex::default(),
        }
    }

    /// Something may be there, or due, in this shard.
    pub(super) fn poke(&self, shard: u32) {
        self.hint(|hints| hints.news(shard) && hints.due(shard, AT_ONCE));
    }

    /// Something is in the log of this shard.
    pub(super) fn news(&self, shard: u32) {
        self.hint(|hints| hints.news(shard));
    }

    /// Something of this shard is due then.
    pub(super) fn due(&self, shard: u32, due: Timestamp) {
        self.hint(|hints| hints.due(shard, due));
    }

    fn hint(&self, note: impl FnOnce(&mut Hints) -> bool) {
        if note(&mut self.feed().hints) {
            self.work.notify_one();
        }
    }

    /// Pauses it, or lets it go on.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.work.notify_one();
        self.ready.notify_one();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Ends its stream and its feeder, for good.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::Release);
        self.work.notify_one();
        self.ready.notify_waiters();
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// What it is bound to.
    pub(super) fn view(&self) -> Option<Arc<View>> {
        self.feed().view.clone()
    }

    /// Opens it: what was handed out before is handed out anew, under other tokens. Answers the generation.
    pub(super) fn bind(&self, order: bool, shards: Vec<Bound>, shared: &Shared) -> u64 {
        let mut feed = self.feed();
        let generation = feed.view.as_ref().map_or(1, |view| view.generation + 1);
        feed.hints = Hints::of(shards.iter().map(|bound| bound.shard.index));
        let by_index = |bound: Bound| (bound.shard.index, bound);
        feed.view = Some(Arc::new(View {
            generation,
            order,
            shards: shards.into_iter().map(by_index).collect(),
        }));
        feed.wanted = 0;
        let mut again: Vec<Place> = Vec::new();
        for (place, held) in &mut feed.held {
            if held.stage == Stage::Out {
                held.stage = Stage::Buffered;
                held.fence = shared.fence();
                again.push(*place);
            }
        }
        again.sort_unstable_by_key(|(shard, position)| (*position, *shard));
        for place in again.into_iter().rev() {
            feed.buffer.push_front(place);
        }
        drop(feed);
        self.ready.notify_waiters();
        self.work.notify_one();
        generation
    }

    /// What the feeder is to do now.
    pub(super) fn plan(&self, now: Timestamp) -> Plan {
        let mut feed = self.feed();
        let want = feed.wants();
        let Some(view) = feed.view.clone().filter(|_| want > 0 && !self.is_paused()) else {
            return Plan::Idle { due: None };
        };
        let bound = |shard: u32| view.shards.get(&shard).cloned();
        let due: Vec<Bound> = feed
            .hints
            .take_due(now, ABREAST)
            .into_iter()
            .filter_map(bound)
            .collect();
        let news: Vec<Bound> = feed
            .hints
            .take_news(ABREAST)
            .into_iter()
            .filter_map(bound)
            .collect();
        if due.is_empty() && news.is_empty() {
            return Plan::Idle {
                due: feed.hints.next_due(),
            };
        }
        Plan::Read {
            view,
            want,
            due,
            news,
        }
    }

    /// Takes what was read in. What was read under an earlier incarnation is not this node's any more.
    pub(super) fn deposit(&self, found: Vec<Found>, shared: &Shared) {
        let mut feed = self.feed();
        for one in found {
            let shard = shared.shards.get(one.shard);
            if shard.is_none_or(|shard| shard.incarnation().number != one.incarnation) {
                continue;
            }
            let place = (one.shard, one.position);
            let held = Held::new(one, shared.fence());
            feed.held.insert(place, held);
            feed.buffer.push_back(place);
        }
        drop(feed);
        self.ready.notify_one();
    }

    /// Takes up to `max`; `None` if the stream of this generation has ended. With nothing there, remembers how many
    /// are wanted.
    pub(super) fn take(&self, generation: u64, max: usize) -> Option<Vec<Delivery>> {
        let mut feed = self.feed();
        feed.view
            .as_ref()
            .filter(|view| view.generation == generation)?;
        let mut taken = Vec::new();
        while !self.is_paused() && taken.len() < max {
            let Some(place) = feed.buffer.pop_front() else {
                break;
            };
            let Some(held) = feed.held.get_mut(&place) else {
                continue;
            };
            held.stage = Stage::Out;
            taken.push(self.delivery(place, held));
        }
        let asked = if taken.is_empty() { max } else { 0 };
        feed.wanted = asked.max(feed.pace.ahead(taken.len()) * PAGE);
        if feed.wants() > 0 {
            self.work.notify_one();
        }
        drop(feed);
        Some(taken)
    }

    fn delivery(&self, (shard, position): Place, held: &Held) -> Delivery {
        Delivery {
            message: held.message.clone(),
            attempt: held.attempt,
            crashes: held.crashes,
            replay: held.replay,
            token: Token {
                handler: self.name.clone(),
                shard,
                position,
                fence: held.fence,
            },
        }
    }

    /// Begins to settle a delivery.
    pub(super) fn claim(&self, token: &Token) -> Claim {
        let mut feed = self.feed();
        let place = (token.shard, token.position);
        let Some(held) = feed
            .held
            .get_mut(&place)
            .filter(|held| held.fence == token.fence)
        else {
            return Claim::Stale;
        };
        match held.stage {
            Stage::Out => {
                held.stage = Stage::Settling;
                Claim::Yes(held.clone())
            }
            Stage::Done => {
                feed.held.remove(&place);
                Claim::Done
            }
            Stage::Buffered | Stage::Settling => Claim::Stale,
        }
    }

    /// It is settled; `told` says whether the caller hears of it.
    pub(super) fn settled(&self, token: &Token, told: bool) {
        let mut feed = self.feed();
        let place = (token.shard, token.position);
        // What was given back may have been read anew before its writer heard that it was written.
        let own = |held: &&mut Held| held.fence == token.fence;
        let Some(held) = feed.held.get_mut(&place).filter(own) else {
            return;
        };
        held.stage = Stage::Done;
        if told {
            feed.held.remove(&place);
        }
    }

    /// It is not settled after all. If the handler was opened again meanwhile, it is handed out anew.
    pub(super) fn unclaim(&self, token: &Token, generation: u64, shared: &Shared) {
        let mut feed = self.feed();
        let reopened = feed
            .view
            .as_ref()
            .is_some_and(|view| view.generation != generation);
        let place = (token.shard, token.position);
        let own = |held: &&mut Held| held.fence == token.fence;
        let Some(held) = feed.held.get_mut(&place).filter(own) else {
            return;
        };
        held.stage = Stage::Out;
        if reopened {
            held.stage = Stage::Buffered;
            held.fence = shared.fence();
            feed.buffer.push_front(place);
            drop(feed);
            self.ready.notify_one();
        }
    }

    /// Positions that this node holds in a shard, as far as it knows.
    pub(super) fn holds(&self, shard: u32) -> HashSet<u64> {
        let feed = self.feed();
        let held = feed.held.keys().filter(|place| place.0 == shard);
        held.map(|place| place.1).collect()
    }

    /// This node is not alive any more in that shard: it holds nothing there.
    pub(super) fn lost(&self, shard: u32) {
        let mut feed = self.feed();
        feed.held.retain(|place, _| place.0 != shard);
        feed.buffer.retain(|place| place.0 != shard);
        drop(feed);
        self.poke(shard);
    }

    /// The queue of settles of a shard; `start` makes it if there is none.
    pub(super) fn front(
        &self,
        shard: u32,
        start: impl FnOnce() -> mpsc::Sender<Batch>,
    ) -> mpsc::Sender<Batch> {
        let mut fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        fronts.entry(shard).or_insert_with(start).clone()
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
