//! One page after another of everything that another engine needs to go on from here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::cmd;
use coordinator_message::Timestamp;

use super::moved_keys;
use crate::redis::browse::{self, Listed};
use crate::redis::entries::{self, Entry};
use crate::redis::error::StoreError;
use crate::redis::places::{Place, Row};
use crate::redis::shard::Shard;
use crate::redis::state::Shared;
use crate::redis::{dead, detail, keys, registry};
use crate::{
    DeadLetterQuery, DeliveryState, HandlerRecord, MessageQuery, Page, Record, UnknownCursor,
    WaitingDelivery, WaitingMessage,
};

/// Rows of one page.
const PAGE: usize = 200;

/// See [`crate::Journal::export`].
pub(in crate::redis) async fn export(
    shared: &Shared,
    cursor: Option<String>,
) -> Result<Page<Record>, StoreError> {
    registry::learn_shards(shared).await?;
    let cursor = cursor.unwrap_or_else(|| "handlers:0".to_owned());
    let (stage, at) = cursor
        .split_once(':')
        .ok_or(StoreError::Cursor(UnknownCursor))?;
    match stage {
        "handlers" => handlers(shared, read(at)?).await,
        "messages" => messages(shared, at).await,
        "copies" => copies(shared, at).await,
        "dead" => letters(shared, at).await,
        "keys" => idempotency(shared, at).await,
        "moved" => {
            let (next, found) = moved_keys::page(shared, at).await?;
            let next = match &*next {
                "0" => "schedules:0".to_owned(),
                next => format!("moved:{next}"),
            };
            Ok(page(found.into_iter().map(Record::Key), next))
        }
        "schedules" => schedules(shared, read(at)?).await,
        _ => Err(StoreError::Cursor(UnknownCursor)),
    }
}

fn read(at: &str) -> Result<usize, StoreError> {
    at.parse().map_err(|_| StoreError::Cursor(UnknownCursor))
}

fn page(items: impl Iterator<Item = Record>, next: String) -> Page<Record> {
    Page {
        items: items.collect(),
        next: Some(next),
    }
}

async fn handlers(shared: &Shared, skip: usize) -> Result<Page<Record>, StoreError> {
    let all = registry::handlers(shared).await?;
    let next = if skip + PAGE < all.len() {
        format!("handlers:{}", skip + PAGE)
    } else {
        "messages:".to_owned()
    };
    let some = all.into_iter().skip(skip).take(PAGE).map(|(id, known)| {
        Record::Handler(HandlerRecord {
            id,
            types: known.types,
            paused: known.paused,
        })
    });
    Ok(page(some, next))
}

async fn messages(shared: &Shared, at: &str) -> Result<Page<Record>, StoreError> {
    let query = MessageQuery {
        oldest_first: true,
        limit: PAGE,
        cursor: (!at.is_empty()).then(|| at.to_owned()),
        ..MessageQuery::default()
    };
    let found = browse::list(shared, &query).await?;
    // Without a filter, a page that is not full is the last.
    let next = match found.next {
        Some(next) if found.items.len() == PAGE => format!("messages:{next}"),
        _ => "copies:0.0".to_owned(),
    };
    let mut items = Vec::new();
    for listed in found.items {
        // One without payload is only delivered from a copy.
        if !listed.entry.dropped {
            items.extend(waiting(shared, listed).await?);
        }
    }
    Ok(page(items.into_iter(), next))
}

/// Replays of what is not in the log any more.
async fn copies(shared: &Shared, at: &str) -> Result<Page<Record>, StoreError> {
    let (shard, from) = at
        .split_once('.')
        .ok_or(StoreError::Cursor(UnknownCursor))?;
    let shard = read(shard)?;
    let Some(of) = sorted(shared).get(shard).cloned() else {
        return Ok(page(std::iter::empty(), "dead:".to_owned()));
    };
    let mut scan = cmd("HSCAN");
    scan.arg(of.keys.copies()).arg(from).arg("COUNT").arg(100);
    let (next, rows): (String, Vec<Vec<u8>>) = shared.look.run(&scan).await?;
    let mut items = Vec::new();
    for pair in rows.chunks_exact(2) {
        if let Some(listed) = copy(shared, &of, &pair[0], &pair[1]).await? {
            items.extend(waiting(shared, listed).await?);
        }
    }
    let next = match &*next {
        "0" => format!("copies:{}.0", shard + 1),
        next => format!("copies:{shard}.{next}"),
    };
    Ok(page(items.into_iter(), next))
}

/// `None` if it was settled in between.
async fn copy(
    shared: &Shared,
    shard: &Arc<Shard>,
    name: &[u8],
    packed: &[u8],
) -> Result<Option<Listed>, StoreError> {
    let damaged = || StoreError::Damaged("the name of a copy is not readable");
    let (handler, pid) = std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.rsplit_once('|'))
        .ok_or_else(damaged)?;
    let mut get = cmd("HGET");
    get.arg(shard.keys.rows(handler)).arg(pid);
    let row: Option<Vec<u8>> = shared.look.run(&get).await?;
    let Some(row) = row else { return Ok(None) };
    let (state, row) = Row::read(&row)?;
    let entry = Entry {
        shard: shard.clone(),
        position: keys::position(pid).ok_or_else(damaged)?,
        fields: entries::unpacked(packed)?,
        delayed: false,
        dropped: false,
    };
    Ok(Some(Listed {
        stored: entry.fields.decode()?,
        entry,
        places: vec![Place {
            handler: handler.to_owned(),
            state,
            row,
        }],
    }))
}

/// All shards, in an order that is the same for every page.
fn sorted(shared: &Shared) -> Vec<Arc<Shard>> {
    let mut shards = shared.shards.all();
    shards.sort_by_key(|shard| keys::shard_name(&shard.lane, shard.partition));
    shards
}

/// `None` if every handler has settled it.
async fn waiting(shared: &Shared, listed: Listed) -> Result<Option<Record>, StoreError> {
    let mut deliveries = Vec::new();
    let of = detail::deliveries(shared, &listed).await?;
    for (place, record) in listed.places.iter().zip(of) {
        if matches!(record.state, DeliveryState::Acked | DeliveryState::Dead) {
            continue;
        }
        let last = record.attempts.last().map(|last| last.failure.clone());
        deliveries.push(WaitingDelivery {
            handler: record.handler,
            due: place.row.waits_for(),
            attempt: place.row.attempts,
            crashes: place.row.crashes,
            replay: record.replay,
            parked: last.filter(|_| place.row.head),
            attempts: record.attempts,
        });
    }
    if deliveries.is_empty() && !listed.entry.delayed {
        return Ok(None);
    }
    Ok(Some(Record::Message(WaitingMessage {
        accepted: listed.entry.accepted(&listed.stored),
        deliver_at: listed.stored.deliver_at.filter(|_| listed.entry.delayed),
        message: Arc::clone(&listed.stored.envelope),
        deliveries,
    })))
}

async fn letters(shared: &Shared, at: &str) -> Result<Page<Record>, StoreError> {
    let query = DeadLetterQuery {
        limit: PAGE,
        cursor: (!at.is_empty()).then(|| at.to_owned()),
        ..DeadLetterQuery::default()
    };
    let found = dead::letters(shared, query).await?;
    let next = match found.next {
        Some(next) => format!("dead:{next}"),
        None => "keys:0.0.0".to_owned(),
    };
    Ok(page(found.items.into_iter().map(Record::DeadLetter), next))
}

/// Shard by shard and day by day.
async fn idempotency(shared: &Shared, at: &str) -> Result<Page<Record>, StoreError> {
    let mut parts = at.split('.');
    let mut part = || parts.next().ok_or(StoreError::Cursor(UnknownCursor));
    let (shard, day, from) = (read(part()?)?, read(part()?)?, part()?);
    let shards = sorted(shared);
    let days: Vec<i64> = keys::days(shared.clock.now(), shared.limits.retention).collect();
    let Some(known) = shards.get(shard) else {
        return Ok(page(std::iter::empty(), "moved:0".to_owned()));
    };
    let Some(hash) = days.get(day).map(|day| known.keys.idempotency(*day)) else {
        return Ok(page(std::iter::empty(), format!("keys:{}.0.0", shard + 1)));
    };
    let (next, found) = moved_keys::scan(shared, &hash, from).await?;
    let next = match &*next {
        "0" => format!("keys:{shard}.{}.0", day + 1),
        next => format!("keys:{shard}.{day}.{next}"),
    };
    Ok(page(found.into_iter().map(Record::Key), next))
}

async fn schedules(shared: &Shared, skip: usize) -> Result<Page<Record>, StoreError> {
    let all: BTreeMap<String, i64> = shared
        .look
        .run(cmd("HGETALL").arg(shared.global.ticks()))
        .await?;
    let next = (skip + PAGE < all.len()).then(|| format!("schedules:{}", skip + PAGE));
    let some = all
        .into_iter()
        .skip(skip)
        .take(PAGE)
        .map(|(name, at)| Record::Schedule {
            name,
            at: Timestamp::from_millis(at),
        });
    Ok(Page {
        items: some.collect(),
        next,
    })
}
