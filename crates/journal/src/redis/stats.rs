//! Counts over all shards.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{Value, cmd};
use coordinator_message::Timestamp;

use super::browse::merge::id as entry_id;
use super::entries;
use super::error::StoreError;
use super::keys;
use super::link::{Lazy, Script, bytes, items};
use super::registry::{self, Registered};
use super::shard::Shard;
use super::state::Shared;
use crate::{HandlerStats, Stats};

static COUNTS: Lazy = LazyLock::new(|| Script::new("no-writes", &[include_str!("stats.lua")]));

/// Rounds of reading that the oldest of one handler in one shard is worth.
const ROUNDS: usize = 10;
/// Entries or rows of one round.
const ROUND: usize = 500;

/// Counts of one shard.
struct Counts {
    messages: u64,
    dead: u64,
    delayed: u64,
    named: BTreeMap<String, i64>,
    handlers: Vec<OfHandler>,
}

/// Counts of one handler in one shard.
struct OfHandler {
    running: u64,
    waiting: u64,
    untried: u64,
    parked: u64,
    given_up: u64,
    first_pending: Option<u64>,
    read: Option<u64>,
}

/// See [`crate::Journal::stats`].
pub(super) async fn stats(shared: &Shared) -> Result<Stats, StoreError> {
    registry::learn_shards(shared).await?;
    let known = registry::handlers(shared).await?;
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let open = registry::open(shared).await?;
    let nodes = registry::others(shared).await?;
    let mut stats = Stats {
        messages: 0,
        size: 0,
        dead: 0,
        delayed: 0,
        engine: shared.engine().clone(),
        durability: shared.durability,
        nodes,
        handlers: known.iter().map(|(id, known)| empty(id, known)).collect(),
    };
    let mut oldest: Vec<Option<Timestamp>> = vec![None; names.len()];
    for shard in shared.shards.all() {
        let counts = ask(shared, &shard, &names).await?;
        stats.messages += counts.messages;
        stats.dead += counts.dead;
        stats.delayed += counts.delayed;
        stats.size += counts.named("bytes");
        for (at, of) in counts.handlers.iter().enumerate() {
            let handler = &mut stats.handlers[at];
            let lag = counts.named(&format!("u:{}", names[at]));
            handler.lag += lag;
            handler.running += of.running;
            handler.retrying += of.waiting - of.untried.min(of.waiting);
            handler.parked += of.parked + of.given_up;
            handler.dead += counts.named(&format!("d:{}", names[at]));
            if lag > 0 {
                let found = oldest_of(shared, &shard, names[at], of).await?;
                oldest[at] = [oldest[at], found].into_iter().flatten().min();
            }
        }
    }
    let now = shared.clock.now();
    for (handler, oldest) in stats.handlers.iter_mut().zip(oldest) {
        handler.oldest = oldest.map(|at| now.since(at)).or_else(|| {
            // It is there, but was not found among very many.
            (handler.lag > 0).then_some(Duration::ZERO)
        });
        handler.open = open.contains(&handler.handler);
    }
    Ok(stats)
}

fn empty(id: &str, known: &Registered) -> HandlerStats {
    let mut types = known.types.clone();
    types.sort();
    HandlerStats {
        handler: id.to_owned(),
        types,
        lag: 0,
        running: 0,
        retrying: 0,
        parked: 0,
        dead: 0,
        oldest: None,
        open: false,
        paused: known.paused,
    }
}

async fn ask(shared: &Shared, shard: &Shard, names: &[&str]) -> Result<Counts, StoreError> {
    let of = &shard.keys;
    let mut named = vec![of.log(), of.counters(), of.dead_times(), of.delayed()];
    for name in names {
        named.extend([
            of.rows(name),
            of.due(name),
            of.owners(name),
            of.parked(name),
        ]);
    }
    let mut call = COUNTS.with(&named);
    for name in names {
        call.arg(*name);
    }
    let answer: Value = shared.look.read_by(&COUNTS, &call).await?;
    let mut parts = items(answer).into_iter();
    let mut number = || parts.next().as_ref().map_or(0, count);
    let (messages, dead, delayed) = (number(), number(), number());
    let texts = parts.next().map(items).unwrap_or_default();
    let counters = texts.chunks(2).filter_map(|pair| match pair {
        [name, value] => Some((text(name), text(value).parse().ok()?)),
        _ => None,
    });
    Ok(Counts {
        messages,
        dead,
        delayed,
        named: counters.collect(),
        handlers: parts.map(OfHandler::read).collect(),
    })
}

/// When the oldest unsettled message of one handler in one shard was accepted.
async fn oldest_of(
    shared: &Shared,
    shard: &Arc<Shard>,
    name: &str,
    of: &OfHandler,
) -> Result<Option<Timestamp>, StoreError> {
    let mut found = of.first_pending;
    if of.running + of.waiting + of.given_up > 0 {
        let mut cursor = "0".to_owned();
        for _ in 0..ROUNDS {
            let mut scan = cmd("HSCAN");
            scan.arg(shard.keys.rows(name))
                .arg(&cursor)
                .arg("COUNT")
                .arg(ROUND);
            let (next, rows): (String, Vec<Vec<u8>>) = shared.look.read(&scan).await?;
            let positions = rows.iter().step_by(2);
            let positions =
                positions.filter_map(|pid| keys::position(std::str::from_utf8(pid).ok()?));
            found = positions.chain(found).min();
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
    }
    // What is parked is younger than what it is parked behind, and what is not read than what was.
    if found.is_none() {
        found = first_unread(shared, shard, name, of).await?;
    }
    let Some(position) = found else {
        return Ok(None);
    };
    let id = entry_id(position);
    let entry: Value = shared
        .look
        .read(cmd("XRANGE").arg(shard.keys.log()).arg(&id).arg(&id))
        .await?;
    let entry = entries::read(shard, entry)?.pop();
    entry.map_or(Ok(Some(keys::written(position))), |entry| {
        let stored = entry.fields.decode()?;
        Ok(Some(entry.accepted(&stored)))
    })
}

/// The first entry that the handler has not read and that is its business.
async fn first_unread(
    shared: &Shared,
    shard: &Arc<Shard>,
    name: &str,
    of: &OfHandler,
) -> Result<Option<u64>, StoreError> {
    let mut from = of
        .read
        .map_or("-".to_owned(), |read| format!("({}", entry_id(read)));
    let bindings: BTreeMap<String, String> = shared
        .look
        .read(cmd("HGETALL").arg(shard.keys.bindings()))
        .await?;
    for _ in 0..ROUNDS {
        let mut range = cmd("XRANGE");
        range
            .arg(shard.keys.log())
            .arg(&from)
            .arg("+")
            .arg("COUNT")
            .arg(ROUND);
        let entries = entries::read(shard, shared.look.read(&range).await?)?;
        let concerned = entries.iter().find(|entry| {
            let ty = String::from_utf8_lossy(entry.fields.ty());
            let since = bindings.get(&format!("{name}\0{ty}"));
            since.is_some_and(|since| *since < keys::pid(entry.position))
        });
        if let Some(entry) = concerned {
            return Ok(Some(entry.position));
        }
        match entries.last() {
            Some(last) if entries.len() == ROUND => from = format!("({}", entry_id(last.position)),
            _ => break,
        }
    }
    Ok(None)
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(bytes(value)).into_owned()
}

// === impl Counts ===

impl Counts {
    /// A counter of the shard; one that was never counted is 0.
    fn named(&self, name: &str) -> u64 {
        let value = self.named.get(name).copied().unwrap_or(0);
        u64::try_from(value).unwrap_or(0)
    }
}

// === impl OfHandler ===

impl OfHandler {
    fn read(value: Value) -> Self {
        let parts = items(value);
        let number = |at: usize| parts.get(at).map_or(0, count);
        let position = |at: usize| keys::position(&text(parts.get(at)?));
        Self {
            running: number(0),
            waiting: number(1),
            untried: number(2),
            parked: number(3),
            given_up: number(4),
            first_pending: position(5),
            read: position(6),
        }
    }
}
