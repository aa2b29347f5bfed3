//! Groups of messages into one shard: one transition, judged by one script.
//!
//! What goes through a script costs the server two microseconds for each KiB, since Lua hashes every string it is given. So
//! when there is much of it, plain commands append it first, and the script then judges it, in the same transaction.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::{Cmd, Value};
use coordinator_message::{MessageId, Timestamp};

use super::codec::Item;
use super::error::StoreError;
use super::keys;
use super::link::{Call, Lazy, Script, bytes};
use super::shard::Shard;
use super::state::Shared;
use super::usage::{self, Figures};

/// What the scripts that append share.
pub(super) const LOG: &str = include_str!("log.lua");
/// Before [`LOG`]: payloads stay in the entries.
pub(super) const TOGETHER: &str = "local APART, AHEAD = false, false";
/// Before [`LOG`]: payloads are stored where they can be dropped.
pub(super) const APART: &str = "local APART, AHEAD = true, false";
/// Before [`LOG`]: the entries are there already.
const AHEAD: &str = "local APART, AHEAD = false, true";
const ACCEPT: &str = include_str!("publish.lua");

/// Within the bounds: refused whole when Redis is out of memory.
static PUBLISH: [Lazy; 2] = [
    LazyLock::new(|| Script::new("", &[TOGETHER, LOG, ACCEPT])),
    LazyLock::new(|| Script::new("", &[APART, LOG, ACCEPT])),
];
/// What was accepted before, on its way from an outbox.
static MOVE: [Lazy; 2] = [
    LazyLock::new(|| Script::new("allow-oom", &[TOGETHER, LOG, ACCEPT])),
    LazyLock::new(|| Script::new("allow-oom", &[APART, LOG, ACCEPT])),
];
/// Within the bounds, after the commands that appended: these were refused when Redis is out of memory, and this has to run
/// when they ran.
static JUDGE: Lazy = LazyLock::new(|| Script::new("allow-oom", &[AHEAD, LOG, ACCEPT]));

/// Words of the command that appends.
const XADD: usize = 7;

/// Clocks of nodes may differ by so much, for an id of one to be found by another.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Duplicate(MessageId),
    Conflict(MessageId),
    /// The handler whose backlog is full, or nothing for the size; and the figure.
    Full(String, String),
}

/// Groups of messages for one shard.
struct Write<'a> {
    shared: &'a Shared,
    shard: &'a Shard,
    groups: &'a [(&'a [Item], &'a [Item])],
    now: Timestamp,
    /// What is in other shards, if the bounds hold.
    elsewhere: Option<Figures>,
}

/// Writes groups of messages to one shard. A group without messages, only for the outbox, has one answer.
pub(super) async fn append(
    shared: &Shared,
    shard: &Shard,
    groups: &[(&[Item], &[Item])],
    bounded: bool,
) -> Result<Vec<Answer>, StoreError> {
    let elsewhere = if bounded {
        Some(usage::elsewhere(shared, shard).await?)
    } else {
        None
    };
    let write = Write {
        shared,
        shard,
        groups,
        now: shared.clock.now(),
        elsewhere,
    };
    let mut said = write.run().await?.into_iter();
    let (Some(Value::Int(changed)), Some(size), Some(Value::Int(room))) =
        (said.next(), said.next(), said.next())
    else {
        return Err(UNKNOWN);
    };
    let size = std::str::from_utf8(bytes(&size)).ok();
    if let Some(size) = size.and_then(|size| size.parse().ok()) {
        shared.usage.found(shard, size);
    }
    shard.found_room(room == 1);
    if changed == 2 {
        shared.nobody_listens();
    }
    if changed != 0 {
        write.tell();
    }
    if groups.iter().any(|group| !group.1.is_empty()) {
        shared.outbox.notify_one();
    }
    let answers = groups.iter().map(|group| group.0.len().max(1));
    let mut answers = vec![Answer::Accepted; answers.sum()];
    while let (Some(number), Some(said)) = (said.next(), said.next()) {
        *place(&mut answers, &number).ok_or(UNKNOWN)? = answer(&said)?;
    }
    Ok(answers)
}

const UNKNOWN: StoreError = StoreError::Damaged("a script answered what it never does");

fn place<'a>(answers: &'a mut [Answer], number: &Value) -> Option<&'a mut Answer> {
    let Value::Int(number) = number else {
        return None;
    };
    answers.get_mut(usize::try_from(number - 1).ok()?)
}

// === impl Write ===

impl Write<'_> {
    async fn run(&self) -> Result<Vec<Value>, StoreError> {
        if self.is_for_ahead() {
            let said = self.ahead().await?;
            // The clock is behind the log.
            if said.first() != Some(&Value::Int(-1)) {
                return Ok(said);
            }
        }
        let scripts = if self.elsewhere.is_some() {
            &PUBLISH
        } else {
            &MOVE
        };
        let script = &scripts[self.shared.apart()];
        let mut call = script.with(&self.keys());
        self.arguments(&mut call, false);
        self.shared.intake.call(script, &call).await
    }

    /// Is there much to append, and will the script most likely have nothing against it?
    fn is_for_ahead(&self) -> bool {
        let plain = |item: &Item| item.deliver_at.is_none() && !item.data.is_empty();
        let payloads = self.items().map(|item| item.data.len());
        payloads.sum::<usize>() >= self.shared.much
            && self.elsewhere.is_some()
            && self.shared.apart() == 0
            && self.shard.has_room()
            && self.items().all(plain)
    }

    async fn ahead(&self) -> Result<Vec<Value>, StoreError> {
        let log = self.shard.keys.log();
        let id = format!("{}-*", self.now.as_millis());
        let entry = |item: &Item| {
            let size = log.len() + id.len() + item.meta.len() + item.data.len();
            let mut add = Cmd::with_capacity(XADD, size + XADD * 16);
            add.arg("XADD").arg(&log).arg(&id);
            add.arg("m").arg(&*item.meta).arg("d").arg(&*item.data);
            add
        };
        let mut call = JUDGE.whole(&self.keys());
        self.arguments(&mut call, true);
        let entries = self.items().map(entry);
        self.shared.intake.after(entries, call).await
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.groups.iter().flat_map(|group| group.0)
    }

    fn ids(&self) -> Vec<u8> {
        let ids = self.items().flat_map(|item| item.id.as_bytes());
        ids.copied().collect()
    }

    /// As `size` in log.lua.
    fn sizes(&self) -> Vec<u8> {
        let size = |item: &Item| item.meta.len() + item.data.len() + 64;
        let size = |item| u32::try_from(size(item)).unwrap_or(u32::MAX);
        let sizes = self.items().flat_map(|item| size(item).to_be_bytes());
        sizes.collect()
    }

    fn days(&self) -> Vec<i64> {
        keys::days(self.now, self.shared.limits.retention).collect()
    }

    /// In how many hashes an id of these may be.
    fn id_days(&self, days: &[i64]) -> usize {
        known_days(self.items().map(|item| item.id), self.now, days.len())
    }

    fn scope_days(&self, days: &[i64]) -> usize {
        let keyed = self.items().any(|item| item.idempotency.is_some());
        if keyed { days.len() } else { 0 }
    }

    fn keys(&self) -> Vec<String> {
        let (keys, days) = (&self.shard.keys, self.days());
        let mut names = vec![
            keys.log(),
            keys.counters(),
            keys.types(),
            keys.delayed(),
            keys.delayed_bodies(),
            keys.outbox(),
        ];
        // A name costs the server as much as an argument.
        let ids = days.iter().take(self.id_days(&days));
        names.extend(ids.map(|day| keys.ids(*day)));
        let scopes = days.iter().take(self.scope_days(&days));
        names.extend(scopes.map(|day| keys.idempotency(*day)));
        names
    }

    fn arguments(&self, call: &mut Call, ahead: bool) {
        let (limits, days) = (&self.shared.limits, self.days());
        let most = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
        let elsewhere = self.elsewhere.as_ref();
        let (backlog, size, others) = elsewhere.map_or((-1, -1, String::new()), |figures| {
            let size = limits.max_size.saturating_sub(figures.bytes);
            let others = unsettled(self.shared, figures);
            (most(limits.max_backlog), most(size), others)
        });
        let outs = || self.groups.iter().flat_map(|group| group.1);
        call.arg(self.now.as_millis())
            .arg(self.now.before(limits.retention).as_millis())
            .arg(backlog)
            .arg(size)
            .arg(self.scope_days(&days))
            .arg(self.groups.len())
            .arg(others)
            .arg(self.id_days(&days))
            .arg(self.shared.teller())
            .arg(self.items().count())
            .arg(outs().count())
            .arg(types(self.items()))
            .arg(self.ids())
            .arg(self.sizes());
        for (items, outs) in self.groups {
            call.arg(items.len()).arg(outs.len());
        }
        for item in self.items().filter(|_| !ahead) {
            call.arg(&*item.meta).arg(&*item.data);
        }
        for item in outs() {
            fields(call, item);
        }
        for (number, item) in (1_u32..).zip(self.items()) {
            let extra = extra(item);
            if !extra.is_empty() {
                call.arg(number).arg(extra);
            }
        }
    }

    /// Wakes those who wait for what was written.
    fn tell(&self) {
        if let Some(due) = self.items().filter_map(|item| item.deliver_at).min() {
            self.shard.delayed_until(due);
            self.shared.delayed.notify_one();
        }
        for handler in self.shared.handlers().values() {
            handler.news(self.shard.index);
        }
    }
}

/// Types as the script takes them: one after the other, with how many follow each other.
fn types<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some((ty, count)) if *ty == item.ty.as_str() => *count += 1,
            _ => runs.push((item.ty.as_str(), 1)),
        }
    }
    let runs = runs.iter();
    runs.map(|(ty, count)| format!("{ty}\t{count}\n")).collect()
}

/// What handlers have unsettled in other shards, as the script takes it. Those that left the wiring fill no backlog.
fn unsettled(shared: &Shared, elsewhere: &Figures) -> String {
    let removed = shared.removed();
    let others = elsewhere.unsettled.iter();
    let others = others.filter(|(handler, _)| !removed.contains(*handler));
    let others = others.map(|(handler, count)| format!("{handler}\t{count}\n"));
    let unbounded = removed.iter().map(|handler| format!("{handler}\t-1\n"));
    others.chain(unbounded).collect()
}

/// How many of the latest `days` an id of these may have been stored in: none was before it was made.
fn known_days(ids: impl Iterator<Item = MessageId>, now: Timestamp, days: usize) -> usize {
    let of = |id: MessageId| {
        // What is from the future was made by a clock that says nothing.
        let made = id.made_at().filter(|made| *made <= now)?;
        let back = keys::days(now, SKEW + now.since(made)).count();
        Some(back.min(days))
    };
    ids.map(|id| of(id).unwrap_or(days)).max().unwrap_or(1)
}

/// Scope and payload digest, if it has an idempotency key, and when it is due, if that is later. Most have neither.
fn extra(item: &Item) -> Vec<u8> {
    let mut extra = Vec::new();
    if let Some((scope, payload)) = &item.idempotency {
        extra.extend_from_slice(scope);
        extra.extend_from_slice(payload);
    }
    if let Some(due) = item.deliver_at {
        extra.extend_from_slice(due.as_millis().to_string().as_bytes());
    }
    extra
}

/// Metadata, payload, scope and payload digest.
pub(super) fn fields(call: &mut Call, item: &Item) {
    let (scope, payload) = match &item.idempotency {
        Some((scope, payload)) => (&scope[..], &payload[..]),
        None => (&[][..], &[][..]),
    };
    call.arg(&*item.meta)
        .arg(&*item.data)
        .arg(scope)
        .arg(payload);
}

/// What was not accepted.
fn answer(said: &Value) -> Result<Answer, StoreError> {
    let Some((kind, rest)) = bytes(said).split_first() else {
        return Err(UNKNOWN);
    };
    let id = || rest.try_into().ok().map(MessageId::from_bytes);
    let found = match kind {
        b'D' => id().map(Answer::Duplicate),
        b'C' => id().map(Answer::Conflict),
        b'F' => String::from_utf8_lossy(rest)
            .split_once('\n')
            .map(|(handler, figure)| Answer::Full(handler.to_owned(), figure.to_owned())),
        _ => None,
    };
    found.ok_or(UNKNOWN)
}
