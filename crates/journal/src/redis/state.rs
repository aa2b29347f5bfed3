//! What one node knows in memory: its settings, connections, shards and open handlers.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ::redis::Client;
use coordinator_message::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::error::StoreError;
use super::handler::Handler;
use super::keys::{GlobalKeys, ShardKeys};
use super::link::Link;
use super::shard::Shard;
use super::usage::Usage;
use crate::digest::Digest;
use crate::{Clock, Durability, Limits, Payloads};

/// So many shards are asked at once: what is said to each goes to the server together.
pub(super) const ABREAST: usize = 64;

/// Shared by everything that runs for one open journal.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    /// When the journal was opened.
    pub(super) opened: Timestamp,
    pub(super) limits: Limits,
    pub(super) much: usize,
    pub(super) durability: Durability,
    /// See [`super::RedisOptions::asserted`].
    pub(super) asserted: bool,
    pub(super) prefix: String,
    pub(super) partitions: u32,
    pub(super) node_timeout: Duration,
    pub(super) client: Client,
    /// For what is published: much, which the small commands of `hot` would stand behind.
    pub(super) intake: Link,
    /// For the other scripts of the hot path.
    pub(super) hot: Link,
    /// For what operators look at, and for maintenance.
    pub(super) look: Link,
    pub(super) global: GlobalKeys,
    pub(super) shards: Shards,
    handlers: Mutex<HashMap<Arc<str>, Arc<Handler>>>,
    /// Handlers that are in the wiring of this node, and that nobody here serves.
    held: Mutex<BTreeSet<String>>,
    /// Handlers that no node has in its wiring, as of a second ago.
    removed: Mutex<Arc<BTreeSet<String>>>,
    fences: AtomicU64,
    closed: watch::Sender<bool>,
    /// Begins the names of this node's incarnations.
    pub(super) node: String,
    teller: String,
    /// May another node hear what this one tells?
    heard: AtomicBool,
    /// The server, in words, for [`crate::Stats::engine`].
    engine: Mutex<String>,
    /// One at a time: pausing a handler, and learning what other nodes were told. So no older reading undoes a word.
    pub(super) controls: tokio::sync::Mutex<()>,
    /// Are there idempotency keys that came from another journal?
    pub(super) moved_keys: AtomicBool,
    /// Why nothing can be accepted: the server's settings are not what they must be any more.
    unfit: Mutex<Option<String>>,
    /// Is there something in an outbox that this node put there?
    pub(super) outbox: tokio::sync::Notify,
    pub(super) usage: Usage,
    /// Something was accepted for later.
    pub(super) delayed: tokio::sync::Notify,
    /// What reads for handlers: it has to end before the rest is given back.
    feeders: Mutex<Vec<JoinHandle<()>>>,
}

/// The shards that this node knows. An index never changes its meaning while the journal is open.
#[derive(Debug, Default)]
pub(super) struct Shards {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_index: Vec<Arc<Shard>>,
    by_name: HashMap<String, HashMap<u32, u32>>,
    by_log: HashMap<String, u32>,
}

/// What [`Shared`] is made of.
pub(super) struct Parts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    /// See [`crate::redis::RedisOptions::much`].
    pub(super) much: usize,
    pub(super) durability: Durability,
    pub(super) asserted: bool,
    pub(super) prefix: String,
    pub(super) partitions: u32,
    pub(super) node_timeout: Duration,
    pub(super) client: Client,
    pub(super) intake: Link,
    pub(super) hot: Link,
    pub(super) look: Link,
    pub(super) engine: String,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let global = GlobalKeys::new(&parts.prefix);
        let node = Uuid::now_v7().simple().to_string();
        Self {
            heard: AtomicBool::new(true),
            teller: format!("{node}{}", global.news()),
            global,
            node,
            opened: parts.clock.now(),
            clock: parts.clock,
            limits: parts.limits,
            much: parts.much,
            durability: parts.durability,
            asserted: parts.asserted,
            prefix: parts.prefix,
            partitions: parts.partitions.max(1),
            node_timeout: parts.node_timeout,
            client: parts.client,
            intake: parts.intake,
            hot: parts.hot,
            look: parts.look,
            shards: Shards::default(),
            handlers: Mutex::default(),
            held: Mutex::default(),
            removed: Mutex::default(),
            fences: AtomicU64::new(0),
            closed: watch::Sender::new(false),
            engine: Mutex::new(parts.engine),
            controls: tokio::sync::Mutex::default(),
            moved_keys: AtomicBool::new(false),
            unfit: Mutex::default(),
            outbox: tokio::sync::Notify::new(),
            usage: Usage::default(),
            delayed: tokio::sync::Notify::new(),
            feeders: Mutex::default(),
        }
    }

    /// The handlers that are open on this node.
    pub(super) fn handlers(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Handler>>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them.
    pub(super) fn handler(&self, id: &str) -> Option<Arc<Handler>> {
        self.handlers().get(id).cloned()
    }

    /// Those that are in the wiring of this node without being served.
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that are in the wiring of this node.
    pub(super) fn in_wiring(&self) -> BTreeSet<String> {
        let mut all = self.held().clone();
        let served = self.handlers();
        let served = served.values().filter(|handler| !handler.is_shut());
        all.extend(served.map(|handler| handler.name.to_string()));
        all
    }

    /// Those that are in no wiring: they fill no backlog.
    pub(super) fn removed(&self) -> Arc<BTreeSet<String>> {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&removed)
    }

    /// What the registry says of them by now.
    pub(super) fn set_removed(&self, removed: BTreeSet<String>) {
        *self.removed.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(removed);
    }

    /// This one is in the wiring again.
    pub(super) fn is_back(&self, handler: &str) {
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut removed).remove(handler);
    }

    /// The partition of an ordering key; messages without key are in the first.
    pub(super) fn partition(&self, key: Option<&Digest>) -> u32 {
        key.map_or(0, |key| {
            u32::from_be_bytes([key[0], key[1], key[2], key[3]]) % self.partitions
        })
    }

    /// Which variant of a script that appends: 1 if payloads are stored apart.
    pub(super) fn apart(&self) -> usize {
        usize::from(self.limits.payloads == Payloads::UntilSettled)
    }

    /// The server, in words.
    pub(super) fn engine(&self) -> MutexGuard<'_, String> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets why the server is not fit, if it is not. Answers whether that is news.
    pub(super) fn judge(&self, unfit: Option<String>) -> bool {
        let mut now = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        let news = now.is_some() != unfit.is_some();
        *now = unfit;
        news
    }

    /// May something be accepted?
    pub(super) fn fit(&self) -> Result<(), StoreError> {
        let unfit = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        unfit
            .clone()
            .map_or(Ok(()), |what| Err(StoreError::Unfit(what)))
    }

    /// A number that no handing-out had before.
    pub(super) fn fence(&self) -> u64 {
        self.fences.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Answers whether it was open.
    pub(super) fn close(&self) -> bool {
        !self.closed.send_replace(true)
    }

    /// Returns once the journal is closed.
    pub(super) async fn closing(&self) {
        let mut closed = self.closed.subscribe();
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Starts a task that [`Shared::fed`] waits for. It is to end once the journal is closed.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut feeders = self.feeders.lock().unwrap_or_else(PoisonError::into_inner);
        feeders.push(tokio::spawn(task));
    }

    /// Returns once nothing is read any more.
    pub(super) async fn fed(&self) {
        let feeders =
            std::mem::take(&mut *self.feeders.lock().unwrap_or_else(PoisonError::into_inner));
        for feeder in feeders {
            // It is only awaited to have ended.
            let _ = feeder.await;
        }
    }

    /// What a script is given to tell other nodes: who tells, and where. Nothing while there are none.
    pub(super) fn teller(&self) -> &str {
        if self.heard.load(Ordering::Relaxed) {
            &self.teller
        } else {
            ""
        }
    }

    /// There may be another node by now.
    pub(super) fn somebody_may_listen(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Nobody but this node heard what was told: saves telling it until [`Shared::somebody_may_listen`].
    pub(super) fn nobody_listens(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    /// Wakes every handler that reads this shard: something may be there, or due.
    pub(super) fn poke(&self, shard: &Shard) {
        for handler in self.handlers().values() {
            handler.poke(shard.index);
        }
    }
}

// === impl Shards ===

impl Shards {
    /// The shard with this index, if this node gave it.
    pub(super) fn get(&self, index: u32) -> Option<Arc<Shard>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_index.get(usize::try_from(index).ok()?).cloned()
    }

    /// The shard with this log, if this node has met it.
    pub(super) fn with_log(&self, log: &str) -> Option<Arc<Shard>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let index = *table.by_log.get(log)?;
        table.by_index.get(index as usize).cloned()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_index.len()
    }

    /// All that are known now.
    pub(super) fn all(&self) -> Vec<Arc<Shard>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_index.clone()
    }

    /// A shard that is listed in `G:shards` already.
    pub(super) fn known(&self, lane: &str, partition: u32, shared: &Shared) -> Arc<Shard> {
        if let Some(known) = self.find(lane, partition) {
            return known;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(table.by_index.len()).unwrap_or(u32::MAX);
        let places = table.by_name.entry(lane.to_owned()).or_default();
        let index = *places.entry(partition).or_insert(next);
        if index == next {
            let keys = ShardKeys::new(&shared.prefix, lane, partition);
            table.by_log.insert(keys.log(), index);
            let shard = Shard::new(index, lane, partition, keys, &shared.node);
            table.by_index.push(Arc::new(shard));
        }
        table.by_index[index as usize].clone()
    }

    /// A shard that this node has met.
    pub(super) fn find(&self, lane: &str, partition: u32) -> Option<Arc<Shard>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let index = *table.by_name.get(lane)?.get(&partition)?;
        table.by_index.get(index as usize).cloned()
    }
}
