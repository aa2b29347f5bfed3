//! Messages as they stand in a shard: in its log, or waiting for their time.

use std::sync::Arc;

use ::redis::{Value, cmd, pipe};

use coordinator_message::Timestamp;

use bytes::Bytes;

use super::codec::{Fields, Stored, unpack};
use super::error::StoreError;
use super::keys;
use super::link::{bytes, items};
use super::shard::Shard;
use super::state::Shared;

/// One message, not yet decoded.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) shard: Arc<Shard>,
    /// In the log; for a delayed one the place that the time of its acceptance has there.
    pub(super) position: u64,
    pub(super) fields: Fields,
    pub(super) delayed: bool,
    /// Its payload was dropped when it was settled.
    pub(super) dropped: bool,
}

/// The entries that XRANGE or XREVRANGE answered.
pub(super) fn read(shard: &Arc<Shard>, answer: Value) -> Result<Vec<Entry>, StoreError> {
    items(answer)
        .into_iter()
        .map(|entry| {
            let mut parts = items(entry).into_iter();
            let (id, fields) = (parts.next(), parts.next());
            let id = id.as_ref().map(bytes).unwrap_or_default();
            let position = std::str::from_utf8(id).ok().and_then(keys::position);
            Ok(Entry {
                shard: shard.clone(),
                position: position.ok_or(DAMAGED)?,
                fields: fields_of(fields)?,
                delayed: false,
                dropped: false,
            })
        })
        .collect()
}

const DAMAGED: StoreError = StoreError::Damaged("an entry of the log is not readable");

/// Names and values, in the order that all entries have.
fn fields_of(value: Option<Value>) -> Result<Fields, StoreError> {
    let all = value.map(items).unwrap_or_default();
    let mut values = all.into_iter().skip(1).step_by(2).map(|value| match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(DAMAGED),
    });
    let mut next = || values.next().unwrap_or(Err(DAMAGED));
    Ok(Fields {
        meta: next()?,
        data: next()?.into(),
    })
}

/// The two packed fields of a copy or of a delayed message.
pub(super) fn unpacked(packed: &[u8]) -> Result<Fields, StoreError> {
    match unpack(packed)?[..] {
        [meta, data] => Ok(Fields {
            meta: meta.to_vec(),
            data: Bytes::copy_from_slice(data),
        }),
        _ => Err(StoreError::Damaged("a copy of a message is not readable")),
    }
}

/// Reads payloads that are stored apart from their entries, and finds out which were dropped.
pub(super) async fn fill(shared: &Shared, entries: &mut [Entry]) -> Result<(), StoreError> {
    let apart: Vec<&mut Entry> = entries
        .iter_mut()
        .filter(|entry| entry.fields.data.is_empty() && !entry.delayed)
        .collect();
    if apart.is_empty() {
        return Ok(());
    }
    let mut asked = pipe();
    for entry in &apart {
        let key = entry.shard.keys.data();
        asked.add_command({
            let mut get = cmd("HGET");
            get.arg(key).arg(keys::pid(entry.position));
            get
        });
    }
    let found: Vec<Option<Bytes>> = shared.look.read_all(&asked).await?;
    for (entry, data) in apart.into_iter().zip(found) {
        entry.dropped = data.is_none();
        entry.fields.data = data.unwrap_or_default();
    }
    Ok(())
}

// === impl Entry ===

impl Entry {
    /// When it was accepted.
    pub(super) fn accepted(&self, stored: &Stored) -> Timestamp {
        stored
            .accepted
            .unwrap_or_else(|| keys::written(self.position))
    }

    /// Its order among all messages: by time, then by shard.
    pub(super) fn order(&self) -> (u64, String) {
        let shard = keys::shard_name(&self.shard.lane, self.shard.partition);
        if self.delayed {
            return (self.position, format!("{shard}\0{}", hex(self.fields.id())));
        }
        (self.position, shard)
    }
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    digits.len().is_multiple_of(2).then_some(())?;
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
