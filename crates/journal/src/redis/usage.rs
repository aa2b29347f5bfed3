//! How much is in the other shards: the bounds hold over all of them, a script sees one.
//!
//! Figures of other shards are as old as a second; they are read anew before each write once half of a bound is used.
//! So several nodes may pass a bound together by what they accept in a second, and no more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::pipe;

use super::error::StoreError;
use super::shard::Shard;
use super::state::Shared;

/// How old figures may be while there is room.
const FRESH: Duration = Duration::from_secs(1);

/// What is stored, as far as this node knows.
#[derive(Debug, Default)]
pub(super) struct Usage {
    known: Mutex<Known>,
    /// Whoever reads the figures; those who want them meanwhile wait for what it finds.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the last reading of all began.
    read: Option<Instant>,
    /// When a reading last failed, and why.
    failed: Option<(Instant, StoreError)>,
    shards: HashMap<u32, Figures>,
    /// Of all shards together, so that a write costs the same however many there are.
    all: Figures,
}

/// Of one shard, or of several.
#[derive(Debug, Default, Clone)]
pub(super) struct Figures {
    pub(super) bytes: u64,
    /// Unsettled deliveries of each handler that is in the wiring of some node.
    pub(super) unsettled: HashMap<String, u64>,
}

// === impl Figures ===

impl Figures {
    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        for (handler, count) in &other.unsettled {
            *self.unsettled.entry(handler.clone()).or_default() += count;
        }
    }

    fn without(&self, other: &Self) -> Self {
        let rest = |(handler, count): (&String, &u64)| {
            let own = other.unsettled.get(handler).copied().unwrap_or(0);
            (handler.clone(), count.saturating_sub(own))
        };
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            unsettled: self.unsettled.iter().map(rest).collect(),
        }
    }

    fn is_near(&self, shared: &Shared) -> bool {
        let most = self.unsettled.values().max().copied().unwrap_or(0);
        self.bytes > shared.limits.max_size / 2 || most > shared.limits.max_backlog / 2
    }
}

// === impl Usage ===

impl Usage {
    /// What a write to a shard found.
    pub(super) fn found(&self, shard: &Shard, bytes: u64) {
        let mut known = self.known();
        let shard = known.shards.entry(shard.index).or_default();
        let before = std::mem::replace(&mut shard.bytes, bytes);
        known.all.bytes = known.all.bytes.saturating_sub(before) + bytes;
    }

    fn sum(&self) -> Figures {
        let known = self.known();
        known.all.clone()
    }

    fn is_near(&self, shared: &Shared) -> bool {
        let known = self.known();
        known.all.is_near(shared)
    }

    fn but(&self, shard: &Shard) -> Figures {
        let known = self.known();
        match known.shards.get(&shard.index) {
            Some(own) => known.all.without(own),
            None => known.all.clone(),
        }
    }

    /// Were all read at this time or later?
    fn is_of(&self, time: Option<Instant>) -> bool {
        let known = self.known();
        known
            .read
            .is_some_and(|read| time.is_none_or(|time| read >= time))
    }

    /// Why a reading failed that ended at this time or later.
    fn failed_after(&self, time: Instant) -> Option<StoreError> {
        let known = self.known();
        let (ended, error) = known.failed.as_ref()?;
        (*ended >= time).then(|| error.clone())
    }

    fn has_failed(&self, error: &StoreError) {
        self.known().failed = Some((Instant::now(), error.clone()));
    }

    fn learn(&self, begun: Instant, shards: HashMap<u32, Figures>) {
        let mut known = self.known();
        known.read = Some(begun);
        known.all = Figures::default();
        for figures in shards.values() {
            known.all.add(figures);
        }
        known.shards = shards;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in all shards but this one, fresh enough to decide by.
pub(super) async fn elsewhere(shared: &Shared, shard: &Shard) -> Result<Figures, StoreError> {
    if shared.shards.count() < 2 {
        return Ok(Figures::default());
    }
    let now = Instant::now();
    let since = if shared.usage.is_near(shared) {
        Some(now)
    } else {
        now.checked_sub(FRESH)
    };
    refresh(shared, since).await?;
    Ok(shared.usage.but(shard))
}

/// What is in all shards, now.
pub(super) async fn all(shared: &Shared) -> Result<Figures, StoreError> {
    refresh(shared, Some(Instant::now())).await?;
    Ok(shared.usage.sum())
}

/// Reads all figures, unless that was done at this time or later. Whoever waits for somebody's reading shares its failure:
/// tried by one after the other, a server that hangs would keep the last of them waiting for all the others' time-outs.
async fn refresh(shared: &Shared, since: Option<Instant>) -> Result<(), StoreError> {
    if shared.usage.is_of(since) {
        return Ok(());
    }
    let asked = Instant::now();
    let _turn = shared.usage.reading.lock().await;
    if shared.usage.is_of(since) {
        return Ok(());
    }
    if let Some(error) = shared.usage.failed_after(asked) {
        return Err(error);
    }
    let outcome = read_all(shared).await;
    if let Err(error) = &outcome {
        shared.usage.has_failed(error);
    }
    outcome
}

async fn read_all(shared: &Shared) -> Result<(), StoreError> {
    let begun = Instant::now();
    let shards = shared.shards.all();
    let mut counters = pipe();
    for shard in &shards {
        counters.cmd("HGETALL").arg(shard.keys.counters());
    }
    let found: Vec<HashMap<String, i64>> = shared.hot.pipe(&counters).await?;
    let removed = shared.removed();
    let figures = found.into_iter().map(|counters| {
        let mut figures = Figures::default();
        for (name, value) in counters {
            let value = u64::try_from(value).unwrap_or(0);
            if name == "bytes" {
                figures.bytes = value;
            } else if let Some(handler) = name.strip_prefix("u:")
                && !removed.contains(handler)
            {
                figures.unsettled.insert(handler.to_owned(), value);
            }
        }
        figures
    });
    let indexes = shards.iter().map(|shard| shard.index);
    shared.usage.learn(begun, indexes.zip(figures).collect());
    Ok(())
}
