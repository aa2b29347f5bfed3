//! Where messages stand with each handler.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use ::redis::Value;
use coordinator_message::Timestamp;

use super::entries::Entry;
use super::error::StoreError;
use super::keys;
use super::link::{Lazy, Script, bytes, items};
use super::registry::Registered;
use super::shard::Shard;
use super::state::Shared;
use crate::{DeliveryState, MessageState};

static PLACES: Lazy = LazyLock::new(|| Script::new("no-writes", &[include_str!("places.lua")]));

/// Entries times handlers that one script looks at: it holds the server up for so long.
const LOOKED_AT: usize = 1024;

/// One delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) handler: String,
    pub(super) state: DeliveryState,
    pub(super) row: Row,
}

/// What `T:x:<h>` has of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Row {
    /// Given up, and holding its key.
    pub(super) head: bool,
    /// Not handed out, and not given up.
    pub(super) waits: bool,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) replay: u32,
    pub(super) due: Timestamp,
}

/// The deliveries of each entry, in the order of the entries.
pub(super) async fn of(
    shared: &Shared,
    handlers: &BTreeMap<String, Registered>,
    entries: &[&Entry],
) -> Result<Vec<Vec<Place>>, StoreError> {
    let mut found = vec![Vec::new(); entries.len()];
    let mut by_shard: BTreeMap<u32, (Arc<Shard>, Vec<usize>)> = BTreeMap::new();
    // What is delayed has no deliveries yet.
    for (at, entry) in entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.delayed)
    {
        let shard = by_shard.entry(entry.shard.index);
        let (_, places) = shard.or_insert_with(|| (entry.shard.clone(), Vec::new()));
        places.push(at);
    }
    if handlers.is_empty() {
        return Ok(found);
    }
    let names: Vec<&str> = handlers.keys().map(String::as_str).collect();
    let step = (LOOKED_AT / names.len()).max(4);
    for (shard, all) in by_shard.values() {
        for some in all.chunks(step) {
            let looked_at: Vec<&Entry> = some.iter().map(|at| entries[*at]).collect();
            let answers = ask(shared, shard, &names, &looked_at).await?;
            for (at, answer) in some.iter().zip(answers) {
                found[*at] = answer;
            }
        }
    }
    Ok(found)
}

async fn ask(
    shared: &Shared,
    shard: &Shard,
    names: &[&str],
    entries: &[&Entry],
) -> Result<Vec<Vec<Place>>, StoreError> {
    let of = &shard.keys;
    let mut named = vec![of.log(), of.bindings(), of.dead_times()];
    for name in names {
        named.extend([of.rows(name), of.parked(name), of.gone(name)]);
    }
    let mut call = PLACES.with(&named);
    call.arg(names.len());
    for name in names {
        call.arg(*name);
    }
    for entry in entries {
        call.arg(keys::pid(entry.position))
            .arg(entry.fields.ty())
            .arg(entry.fields.key());
    }
    let answer: Value = shared.look.read_by(&PLACES, &call).await?;
    items(answer)
        .into_iter()
        .map(|places| {
            let places = items(places).into_iter().zip(names);
            places
                .filter_map(|(text, name)| Place::read(name, bytes(&text)).transpose())
                .collect()
        })
        .collect()
}

// === impl Place ===

impl Place {
    /// `None` if the message is none of the handler's business.
    fn read(handler: &str, text: &[u8]) -> Result<Option<Self>, StoreError> {
        let (state, row) = match text {
            b"" => return Ok(None),
            b"d" => (DeliveryState::Dead, Row::default()),
            b"k" => (DeliveryState::Parked, Row::default()),
            b"n" => (DeliveryState::Pending, Row::default()),
            b"a" => (DeliveryState::Acked, Row::default()),
            b"r" => {
                let running = Row {
                    attempts: 1,
                    ..Row::default()
                };
                (DeliveryState::Running, running)
            }
            row => Row::read(row.get(1..).unwrap_or_default())?,
        };
        Ok(Some(Self {
            handler: handler.to_owned(),
            state,
            row,
        }))
    }
}

// === impl Row ===

impl Row {
    /// When it is due, if it waits for a time.
    pub(super) fn waits_for(&self) -> Option<Timestamp> {
        (self.waits && self.due > Timestamp::default()).then_some(self.due)
    }

    /// A row as it is stored, and the state that it means. A running one counts the attempt that runs.
    pub(super) fn read(text: &[u8]) -> Result<(DeliveryState, Self), StoreError> {
        let damaged = StoreError::Damaged("the row of a delivery is not readable");
        let read = || {
            let mut parts = std::str::from_utf8(text).ok()?.split(',');
            let state = parts.next()?;
            let mut row = Self {
                head: state == "p",
                waits: state == "w",
                attempts: parts.next()?.parse().ok()?,
                crashes: parts.next()?.parse().ok()?,
                replay: parts.next()?.parse().ok()?,
                due: Timestamp::from_millis(parts.next()?.parse().ok()?),
            };
            let state = match state {
                "w" if row.attempts == 0 => DeliveryState::Pending,
                "w" => DeliveryState::Retrying,
                "p" => DeliveryState::Parked,
                "o" => {
                    row.attempts += 1;
                    DeliveryState::Running
                }
                _ => return None,
            };
            Some((state, row))
        };
        read().ok_or(damaged)
    }
}

/// A message in the state of one of its deliveries.
pub(super) fn of_message(state: DeliveryState) -> MessageState {
    match state {
        DeliveryState::Acked => MessageState::Acked,
        DeliveryState::Pending | DeliveryState::Running => MessageState::Pending,
        DeliveryState::Retrying => MessageState::Retrying,
        DeliveryState::Parked => MessageState::Parked,
        DeliveryState::Dead => MessageState::Dead,
    }
}

/// The worst over all handlers.
pub(super) fn worst(places: &[Place]) -> MessageState {
    let weight = |state: &MessageState| match state {
        MessageState::Unhandled | MessageState::Delayed => 0,
        MessageState::Acked => 1,
        MessageState::Pending => 2,
        MessageState::Retrying => 3,
        MessageState::Parked => 4,
        MessageState::Dead => 5,
    };
    places
        .iter()
        .map(|place| of_message(place.state))
        .max_by_key(weight)
        .unwrap_or(MessageState::Unhandled)
}
