//! Settling deliveries.

use std::sync::{Arc, LazyLock};

use coordinator_message::Timestamp;
use tokio::sync::oneshot;

use super::append::fields;
use super::codec::Item;
use super::error::StoreError;
use super::front::{self, Batch};
use super::handler::Handler;
use super::held::{Claim, Held};
use super::link::{LIB, Lazy, Script};
use super::shard::Shard;
use super::state::Shared;
use super::{keys, life};
use crate::digest::Digest;
use crate::{AttemptRecord, Failure, FailureKind, Settle, SettleOutcome, Token, Verdict};

/// Draining makes room, so a full server lets it pass.
static SETTLE: Lazy =
    LazyLock::new(|| Script::new("allow-oom", &[LIB, include_str!("settle.lua")]));
static ACK: Lazy = LazyLock::new(|| Script::new("allow-oom", &[include_str!("ack.lua")]));

/// One settle, as the script takes it.
#[derive(Debug)]
pub(super) struct Line {
    pid: String,
    first: bool,
    key: Option<Digest>,
    incarnation: u64,
    verdict: char,
    due: Timestamp,
    attempts: u32,
    crashes: u32,
    replay: u32,
    failure: String,
    record: String,
    children: Vec<u8>,
    emits: Vec<Item>,
}

/// What became of the settles of one caller, in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    /// This node was not alive: it held nothing.
    Lost,
}

/// One settle on its way.
struct Claimed {
    index: usize,
    handler: Arc<Handler>,
    generation: u64,
    token: Token,
}

/// Those of one shard and handler that go through one script.
struct Part {
    claimed: Vec<Claimed>,
    answer: oneshot::Receiver<Result<Outcome, StoreError>>,
}

/// See [`crate::Journal::settle`].
pub(super) async fn settle(
    shared: &Arc<Shared>,
    batch: Vec<Settle>,
) -> Result<Vec<SettleOutcome>, StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    let mut outcomes = vec![SettleOutcome::Stale; batch.len()];
    let mut parts: Vec<(Vec<Claimed>, Vec<Line>)> = Vec::new();
    for (index, one) in batch.into_iter().enumerate() {
        let Some(handler) = shared.handler(&one.token.handler) else {
            continue;
        };
        let Some(view) = handler.view() else { continue };
        match handler.claim(&one.token) {
            Claim::Stale => {}
            Claim::Done => outcomes[index] = SettleOutcome::Settled,
            Claim::Yes(held) => {
                let line = Line::new(&held, &one.token, one.verdict, view.order, shared);
                let claimed = Claimed {
                    index,
                    handler,
                    generation: view.generation,
                    token: one.token,
                };
                let plain = line.is_plain();
                let same = |(others, lines): &&mut (Vec<Claimed>, Vec<Line>)| {
                    others.first().is_some_and(|first| {
                        first.token.shard == claimed.token.shard
                            && first.token.handler == claimed.token.handler
                    }) && lines[0].is_plain() == plain
                };
                match parts.iter_mut().find(same) {
                    Some(part) => {
                        part.0.push(claimed);
                        part.1.push(line);
                    }
                    None => parts.push((vec![claimed], vec![line])),
                }
            }
        }
    }
    let mut waiting = Vec::with_capacity(parts.len());
    for (claimed, lines) in parts {
        waiting.push(submit(shared, claimed, lines).await);
    }
    finish(shared, waiting, &mut outcomes).await?;
    Ok(outcomes)
}

/// Hands a part to its queue. A queue that is gone answers by being gone.
async fn submit(shared: &Arc<Shared>, claimed: Vec<Claimed>, lines: Vec<Line>) -> Part {
    let (reply, answer) = oneshot::channel();
    let first = &claimed[0];
    if let Some(shard) = shared.shards.get(first.token.shard) {
        let start = || front::settles(shared, &shard, &first.handler.name);
        let queue = first.handler.front(shard.index, start);
        // If it fails, `reply` is dropped with it, and the answer says so.
        let _ = queue.send(Batch { lines, reply }).await;
    }
    Part { claimed, answer }
}

/// Waits for all parts. If one failed the caller is told of an error; what the others wrote is remembered, so that
/// sending all of it again answers what happened.
async fn finish(
    shared: &Arc<Shared>,
    waiting: Vec<Part>,
    outcomes: &mut [SettleOutcome],
) -> Result<(), StoreError> {
    let mut failed = None;
    let mut written = Vec::new();
    for part in waiting {
        match part.answer.await.unwrap_or(Err(StoreError::Closed)) {
            Ok(Outcome::Written) => written.extend(part.claimed),
            Ok(Outcome::Lost) => {}
            Err(error) => {
                for one in &part.claimed {
                    one.handler.unclaim(&one.token, one.generation, shared);
                }
                failed = Some(error);
            }
        }
    }
    for one in written {
        one.handler.settled(&one.token, failed.is_none());
        outcomes[one.index] = SettleOutcome::Settled;
    }
    failed.map_or(Ok(()), Err)
}

// === impl Line ===

impl Line {
    fn new(held: &Held, token: &Token, verdict: Verdict, order: bool, shared: &Shared) -> Self {
        let now = shared.clock.now();
        let mut line = Self {
            pid: keys::pid(token.position),
            first: held.first,
            key: held.key.filter(|_| order),
            incarnation: held.incarnation,
            verdict: 'a',
            due: now,
            attempts: held.attempt,
            crashes: held.crashes,
            replay: held.replay,
            failure: String::new(),
            record: String::new(),
            children: Vec::new(),
            emits: Vec::new(),
        };
        // Without a key to hold, giving up for now is giving up.
        let keyed = |verdict| if line.key.is_some() { verdict } else { 'd' };
        let (letter, failure) = match verdict {
            Verdict::Ack { emits } => {
                line.emits = emits.into_iter().map(|one| Item::new(one, now)).collect();
                let ids = line.emits.iter().flat_map(|item| *item.id.as_bytes());
                line.children = ids.collect();
                ('a', None)
            }
            Verdict::Release { due } => {
                line.attempts = held.attempt.saturating_sub(1);
                line.due = due.unwrap_or(now);
                ('l', None)
            }
            Verdict::Retry { due, failure } => {
                line.due = due;
                ('r', Some(failure))
            }
            Verdict::Dead { failure } => ('d', Some(failure)),
            Verdict::DeadKey { failure } => (keyed('k'), Some(failure)),
            Verdict::Park { failure } => (keyed('p'), Some(failure)),
        };
        line.verdict = letter;
        if let Some(failure) = failure {
            line.crashes += u32::from(failure.kind == FailureKind::Panic);
            line.failure = text(&failure);
            let record = AttemptRecord {
                replay: held.replay,
                attempt: held.attempt,
                failure,
            };
            line.record = serde_json::to_string(&record).expect("a record of texts and numbers");
        }
        line
    }

    /// Is it all that `ack.lua` does?
    fn is_plain(&self) -> bool {
        self.key.is_none() && self.first && self.verdict == 'a' && self.emits.is_empty()
    }
}

/// Sends one batch and answers everybody in it.
pub(super) async fn send(
    shared: Arc<Shared>,
    shard: Arc<Shard>,
    handler: Arc<str>,
    batches: Vec<Batch>,
) {
    let node = shard.incarnation();
    // What was given to an earlier incarnation is not ours.
    let (current, old): (Vec<Batch>, Vec<Batch>) = batches.into_iter().partition(|batch| {
        let mut lines = batch.lines.iter();
        lines.all(|line| line.incarnation == node.number)
    });
    for batch in old {
        let _ = batch.reply.send(Ok(Outcome::Lost));
    }
    let (plain, rest): (Vec<Batch>, Vec<Batch>) = current
        .into_iter()
        .partition(|batch| batch.lines.iter().all(|line| line.is_plain()));
    let write = Write {
        shared: &shared,
        shard: &shard,
        handler: &handler,
        node: &node.name,
    };
    let (acked, settled) = tokio::join!(write.acks(&plain), write.others(&rest));
    for (batches, outcome) in [(plain, acked), (rest, settled)] {
        if outcome
            .as_ref()
            .is_ok_and(|outcome| *outcome == Outcome::Lost)
        {
            life::lost(&shared, &shard, &node);
        }
        for batch in batches {
            // A caller that went away does not want to know.
            let _ = batch.reply.send(outcome.clone());
        }
    }
}

/// Where a batch goes.
struct Write<'a> {
    shared: &'a Shared,
    shard: &'a Shard,
    handler: &'a Arc<str>,
    node: &'a str,
}

impl Write<'_> {
    async fn acks(&self, batches: &[Batch]) -> Result<Outcome, StoreError> {
        if batches.is_empty() {
            return Ok(Outcome::Written);
        }
        let keys = &self.shard.keys;
        let mut call = ACK.with(&[keys.log(), keys.counters(), keys.heartbeat(self.node)]);
        call.arg(&**self.handler);
        for line in batches.iter().flat_map(|batch| &batch.lines) {
            call.arg(&line.pid);
        }
        let alive: i64 = self.shared.hot.call(&ACK, &call).await?;
        Ok(outcome(alive))
    }

    async fn others(&self, batches: &[Batch]) -> Result<Outcome, StoreError> {
        if batches.is_empty() {
            return Ok(Outcome::Written);
        }
        let now = self.shared.clock.now();
        let lines: Vec<&Line> = batches.iter().flat_map(|batch| &batch.lines).collect();
        let mut keys = self.shard.keys.of_handler(self.handler, self.node);
        keys.push(self.shard.keys.gone(self.handler));
        let mut call = SETTLE.with(&keys);
        call.arg(&**self.handler)
            .arg(self.node)
            .arg(now.as_millis())
            .arg(blocked(now))
            .arg(lines.len());
        for line in &lines {
            call.arg(&line.pid)
                .arg(u8::from(line.first))
                .arg(line.key.as_ref().map_or(&[][..], |key| &key[..]))
                .arg(line.verdict.to_string())
                .arg(line.due.as_millis())
                .arg(line.attempts)
                .arg(line.crashes)
                .arg(line.replay)
                .arg(&line.failure)
                .arg(&line.record)
                .arg(&*line.children)
                .arg(line.emits.len());
            for emit in &line.emits {
                fields(&mut call, emit);
            }
        }
        let (alive, freed): (i64, i64) = self.shared.hot.call(&SETTLE, &call).await?;
        if lines.iter().any(|line| !line.emits.is_empty()) {
            self.shared.outbox.notify_one();
        }
        if let Some(handler) = self.shared.handler(self.handler) {
            let waits = lines.iter().filter(|line| "rl".contains(line.verdict));
            let freed = (freed > 0).then_some(now);
            if let Some(due) = waits.map(|line| line.due).chain(freed).min() {
                handler.due(self.shard.index, due);
            }
        }
        Ok(outcome(alive))
    }
}

fn outcome(alive: i64) -> Outcome {
    if alive == 0 {
        Outcome::Lost
    } else {
        Outcome::Written
    }
}

/// A failure as it is stored.
pub(super) fn text(failure: &Failure) -> String {
    serde_json::to_string(failure).expect("a failure is strings and numbers")
}

/// Why a message dies whose key died before it; the scripts put the id of the one that was given up for `@`.
pub(super) fn blocked(now: Timestamp) -> String {
    unattempted(
        FailureKind::Blocked,
        "`@` of its ordering key was given up",
        now,
    )
}

/// Why a message dies whose type the handler is not bound to any more.
pub(super) fn unbound(now: Timestamp) -> String {
    unattempted(
        FailureKind::Expired,
        "handler no longer bound to the type",
        now,
    )
}

/// A failure that no attempt had, as it is stored.
pub(super) fn unattempted(kind: FailureKind, reason: &str, now: Timestamp) -> String {
    text(&Failure {
        kind,
        chain: vec![reason.to_owned()],
        started: now,
        ran_ms: 0,
    })
}
