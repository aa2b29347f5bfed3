//! Records of another journal, one after another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, LazyLock};

use ::redis::{cmd, pipe};
use coordinator_message::{Envelope, MessageId, Timestamp};

use super::moved_keys;
use crate::redis::append::{APART, LOG, TOGETHER};
use crate::redis::codec::{encode, key_digest, pack};
use crate::redis::error::StoreError;
use crate::redis::keys;
use crate::redis::link::{Call, Lazy, Script};
use crate::redis::publish::shard_at;
use crate::redis::registry::{self, Registered};
use crate::redis::shard::Shard;
use crate::redis::state::Shared;
use crate::{
    AttemptRecord, DeadLetter, HandlerRecord, HandlerSpec, Record, WaitingDelivery, WaitingMessage,
};

const IMPORT_ONE: &str = include_str!("import.lua");
static IMPORT: [Lazy; 2] = [
    LazyLock::new(|| Script::new("", &[TOGETHER, LOG, IMPORT_ONE])),
    LazyLock::new(|| Script::new("", &[APART, LOG, IMPORT_ONE])),
];

/// What a delivery is, as the script takes it.
struct Line {
    handler: String,
    state: &'static str,
    due: i64,
    attempts: u32,
    crashes: u32,
    replay: u32,
    records: Vec<u8>,
    failure: String,
}

/// See [`crate::Journal::import`].
pub(in crate::redis) async fn import(
    shared: &Arc<Shared>,
    batch: Vec<Record>,
) -> Result<(), StoreError> {
    shared.fit()?;
    let mut handlers = registry::handlers(shared).await?;
    for record in batch {
        match record {
            Record::Handler(record) => {
                if let Entry::Vacant(new) = handlers.entry(record.id.clone()) {
                    new.insert(handler(shared, &record).await?);
                }
            }
            Record::Message(message) => waiting(shared, &handlers, message).await?,
            Record::DeadLetter(letter) => dead(shared, &handlers, letter).await?,
            Record::Key(key) => moved_keys::add(shared, &key).await?,
            Record::Schedule { name, at } => schedule(shared, &name, at).await?,
        }
    }
    Ok(())
}

async fn handler(shared: &Shared, record: &HandlerRecord) -> Result<Registered, StoreError> {
    // Lanes and order are told when it is opened.
    let known = Registered {
        lanes: HandlerSpec::new("", record.types.clone()).lanes,
        types: record.types.clone(),
        order: false,
        paused: record.paused,
        seen: shared.clock.now(),
    };
    registry::save(shared, &record.id, &known).await?;
    if record.paused {
        registry::pause(shared, &record.id, true).await?;
    }
    Ok(known)
}

async fn waiting(
    shared: &Arc<Shared>,
    handlers: &BTreeMap<String, Registered>,
    message: WaitingMessage,
) -> Result<(), StoreError> {
    let envelope = &message.message;
    let shard = shard_of(shared, envelope).await?;
    if is_known(shared, &shard, envelope.id).await? {
        return Ok(());
    }
    let mut lines: Vec<Line> = message.deliveries.iter().map(Line::waiting).collect();
    for (id, known) in handlers {
        let bound = known.types.contains(&envelope.ty);
        if bound && lines.iter().all(|line| line.handler != *id) {
            lines.push(Line::settled(id));
        }
    }
    let what = if message.deliver_at.is_some() {
        "l"
    } else {
        "m"
    };
    let at = message.deliver_at.unwrap_or_default();
    let times = (Some(message.accepted), message.deliver_at, at);
    one(shared, &shard, (what, envelope), times, &lines).await
}

async fn dead(
    shared: &Arc<Shared>,
    handlers: &BTreeMap<String, Registered>,
    letter: DeadLetter,
) -> Result<(), StoreError> {
    let envelope = &letter.message;
    let shard = shard_of(shared, envelope).await?;
    let failure = serde_json::to_string(&letter.failure).expect("a failure is strings and numbers");
    let last = AttemptRecord {
        replay: 0,
        attempt: letter.attempts,
        failure: letter.failure,
    };
    let attempts = if letter.attempts > 0 {
        vec![last]
    } else {
        Vec::new()
    };
    let mut lines = vec![Line {
        state: "d",
        attempts: letter.attempts,
        records: packed(&attempts),
        failure,
        ..Line::settled(&letter.handler)
    }];
    for (id, known) in handlers {
        if known.types.contains(&envelope.ty) && *id != letter.handler {
            lines.push(Line::settled(id));
        }
    }
    one(
        shared,
        &shard,
        ("d", envelope),
        (None, None, letter.died),
        &lines,
    )
    .await
}

/// `times`: when it was accepted and when it is to be delivered, as far as that is told, and when it died or is due.
async fn one(
    shared: &Shared,
    shard: &Shard,
    (what, message): (&str, &Envelope),
    (accepted, deliver_at, at): (Option<Timestamp>, Option<Timestamp>, Timestamp),
    lines: &[Line],
) -> Result<(), StoreError> {
    let of = &shard.keys;
    let now = shared.clock.now();
    let mut named = vec![
        of.log(),
        of.counters(),
        of.types(),
        of.ids(keys::day(now)),
        of.bindings(),
        of.attempts(),
        of.attempt_times(),
        of.replays(),
        of.dead(),
        of.dead_times(),
        of.delayed(),
        of.delayed_bodies(),
    ];
    for line in lines {
        let id = &line.handler;
        named.extend([of.rows(id), of.due(id), of.parked(id), of.heads(id)]);
    }
    let script = &IMPORT[shared.apart()];
    let mut call = script.with(&named);
    let key = message.key.as_deref().map(key_digest);
    call.arg(now.as_millis())
        .arg(accepted.unwrap_or(at).as_millis())
        .arg(what)
        .arg(message.id.as_bytes())
        .arg(encode(message, key.as_ref(), accepted, deliver_at))
        .arg(&message.data[..])
        .arg(at.as_millis())
        .arg(lines.len());
    for line in lines {
        line.add_to(&mut call);
    }
    match shared.look.call::<i64>(script, &call).await? {
        -1 => Err(StoreError::Unfit(
            "a handler has something to read in the journal that is imported into".to_owned(),
        )),
        _ => Ok(()),
    }
}

async fn schedule(shared: &Shared, name: &str, at: Timestamp) -> Result<(), StoreError> {
    let mut set = cmd("HSETNX");
    set.arg(shared.global.ticks()).arg(name).arg(at.as_millis());
    shared.look.run(&set).await
}

async fn shard_of(shared: &Arc<Shared>, message: &Envelope) -> Result<Arc<Shard>, StoreError> {
    let key = message.key.as_deref().map(key_digest);
    shard_at(shared, &message.lane, shared.partition(key.as_ref())).await
}

/// Was it ever here, within the retention?
async fn is_known(shared: &Shared, shard: &Shard, id: MessageId) -> Result<bool, StoreError> {
    let mut asked = pipe();
    for day in keys::days(shared.clock.now(), shared.limits.retention) {
        asked
            .cmd("HEXISTS")
            .arg(shard.keys.ids(day))
            .arg(id.as_bytes());
    }
    let answers: Vec<bool> = shared.look.pipe(&asked).await?;
    Ok(answers.contains(&true))
}

fn packed(attempts: &[AttemptRecord]) -> Vec<u8> {
    let texts: Vec<Vec<u8>> = attempts
        .iter()
        .map(|one| serde_json::to_vec(one).expect("an attempt is strings and numbers"))
        .collect();
    let fields: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    pack(&fields)
}

// === impl Line ===

impl Line {
    fn settled(handler: &str) -> Self {
        Self {
            handler: handler.to_owned(),
            state: "",
            due: 0,
            attempts: 0,
            crashes: 0,
            replay: 0,
            records: Vec::new(),
            failure: String::new(),
        }
    }

    fn waiting(delivery: &WaitingDelivery) -> Self {
        Self {
            state: if delivery.parked.is_some() { "p" } else { "w" },
            due: delivery.due.unwrap_or_default().as_millis(),
            attempts: delivery.attempt,
            crashes: delivery.crashes,
            replay: delivery.replay,
            records: packed(&delivery.attempts),
            ..Self::settled(&delivery.handler)
        }
    }

    fn add_to(&self, call: &mut Call) {
        call.arg(&self.handler)
            .arg(self.state)
            .arg(self.due)
            .arg(self.attempts)
            .arg(self.crashes)
            .arg(self.replay)
            .arg(&self.records)
            .arg(&self.failure);
    }
}
