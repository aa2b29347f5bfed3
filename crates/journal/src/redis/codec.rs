//! Messages as bytes: metadata in `m`, and packed fields.
//!
//! Metadata is a version byte, then fields in a fixed order; a later version reads the earlier ones. What scripts read of it
//! (message.lua) comes first: the id, the digest of the ordering key and the type.

use std::sync::Arc;

use bytes::Bytes;
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};

use super::error::StoreError;
use crate::NewMessage;
use crate::digest::{self, Digest};

/// First byte of metadata.
const VERSION: u8 = 1;

/// A message on its way in, as the scripts take it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: MessageId,
    pub(super) ty: MessageType,
    pub(super) lane: String,
    /// Digest of the ordering key.
    pub(super) key: Option<Digest>,
    pub(super) meta: Vec<u8>,
    pub(super) data: Bytes,
    /// Digests of the idempotency key's scope and of the payload.
    pub(super) idempotency: Option<(Digest, Digest)>,
    /// In the future when it was made.
    pub(super) deliver_at: Option<Timestamp>,
}

/// A message as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) envelope: Arc<Envelope>,
    /// When it was accepted, if that is not when its log entry was written.
    pub(super) accepted: Option<Timestamp>,
    pub(super) deliver_at: Option<Timestamp>,
}

/// The two fields of a log entry.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) meta: Vec<u8>,
    pub(super) data: Bytes,
}

// === impl Item ===

impl Item {
    /// `now` is remembered as the time of acceptance if the message goes into the log later.
    pub(super) fn new(message: NewMessage, now: Timestamp) -> Self {
        let deliver_at = message.deliver_at.filter(|at| *at > now);
        let idempotency = digest::scope(&message).map(|scope| (scope, digest::payload(&message)));
        let key = message.envelope.key.as_deref().map(key_digest);
        let accepted = deliver_at.map(|_| now);
        let meta = encode(&message.envelope, key.as_ref(), accepted, deliver_at);
        let Envelope {
            id, ty, lane, data, ..
        } = message.envelope;
        Self {
            id,
            ty,
            lane,
            key,
            meta,
            data,
            idempotency,
            deliver_at,
        }
    }

    /// An item that was in an outbox.
    pub(super) fn from_outbox(
        fields: Fields,
        scope: &[u8],
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let stored = fields.decode()?;
        let idempotency = match (Digest::try_from(scope), Digest::try_from(payload)) {
            (Ok(scope), Ok(payload)) => Some((scope, payload)),
            _ => None,
        };
        let Envelope { id, ty, lane, .. } = &*stored.envelope;
        Ok(Self {
            id: *id,
            ty: ty.clone(),
            lane: lane.clone(),
            key: Digest::try_from(fields.key()).ok(),
            meta: fields.meta,
            data: stored.envelope.data.clone(),
            idempotency,
            deliver_at: stored.deliver_at.filter(|at| *at > now),
        })
    }
}

// === impl Fields ===

impl Fields {
    /// As a message.
    pub(super) fn decode(&self) -> Result<Stored, StoreError> {
        decode(&self.meta, self.data.clone())
    }

    /// The id of the message; nothing if the metadata are not readable.
    pub(super) fn id(&self) -> &[u8] {
        self.meta.get(1..17).unwrap_or_default()
    }

    /// Digest of the ordering key; nothing without one.
    pub(super) fn key(&self) -> &[u8] {
        start(&self.meta).map_or(&[], |start| start.key)
    }

    /// The type; nothing if the metadata are not readable.
    pub(super) fn ty(&self) -> &[u8] {
        start(&self.meta).map_or(&[], |start| start.ty)
    }
}

/// Digest of an ordering key: what partitions are chosen by.
pub(super) fn key_digest(key: &str) -> Digest {
    digest::digest(&[key.as_bytes()])
}

/// Metadata of a message. `key` is the digest of its ordering key.
pub(super) fn encode(
    message: &Envelope,
    key: Option<&Digest>,
    accepted: Option<Timestamp>,
    deliver_at: Option<Timestamp>,
) -> Vec<u8> {
    let ty = message.ty.as_str();
    let mut out = Vec::with_capacity(112 + ty.len() + message.source.len());
    out.push(VERSION);
    out.extend_from_slice(message.id.as_bytes());
    put_short(&mut out, key.map_or(&[], |key| &key[..]));
    put_short(&mut out, ty.as_bytes());
    out.extend_from_slice(&message.time.as_millis().to_be_bytes());
    let own_lane = message.lane == message.ty.as_str();
    let own_correlation = message.correlation == message.id;
    let trace = message.trace.map(|trace| trace.to_string());
    let ids = [
        (!own_correlation).then_some(&message.correlation),
        message.cause.as_ref(),
    ];
    let texts = [
        message.subject.as_deref(),
        message.key.as_deref(),
        (!own_lane).then_some(message.lane.as_str()),
        trace.as_deref(),
    ];
    put(&mut out, message.source.as_bytes());
    for text in texts {
        option(&mut out, text.map(str::as_bytes));
    }
    for id in ids {
        option(&mut out, id.map(|id| &id.as_bytes()[..]));
    }
    for at in [accepted, deliver_at] {
        option(
            &mut out,
            at.map(|at| at.as_millis().to_be_bytes())
                .as_ref()
                .map(|at| &at[..]),
        );
    }
    out
}

/// How metadata begin.
pub(super) struct Start<'a> {
    id: MessageId,
    /// Digest of the ordering key; nothing without one.
    pub(super) key: &'a [u8],
    pub(super) ty: &'a [u8],
    rest: Reader<'a>,
}

/// The part of metadata that scripts know too. `None` is damage.
pub(super) fn start(meta: &[u8]) -> Option<Start<'_>> {
    let mut rest = Reader(meta);
    (rest.bytes(1)? == [VERSION]).then_some(())?;
    Some(Start {
        id: rest.id()?,
        key: rest.short()?,
        ty: rest.short()?,
        rest,
    })
}

/// A message from the fields of its entry.
pub(super) fn decode(meta: &[u8], data: Bytes) -> Result<Stored, StoreError> {
    let damaged = || StoreError::Damaged("the metadata of a message is not readable");
    let Start {
        id, ty, mut rest, ..
    } = start(meta).ok_or_else(damaged)?;
    let envelope = (|| {
        let ty: MessageType = std::str::from_utf8(ty).ok()?.parse().ok()?;
        let time = rest.time()?;
        let source = rest.text()?;
        let (subject, key, lane) = (
            rest.optional_text()?,
            rest.optional_text()?,
            rest.optional_text()?,
        );
        let trace = rest.optional_text()?;
        let correlation = rest.optional(|reader| reader.id())?;
        let cause = rest.optional(|reader| reader.id())?;
        Some(Envelope {
            id,
            lane: lane.unwrap_or_else(|| ty.as_str().to_owned()),
            ty,
            source,
            subject,
            time,
            key,
            correlation: correlation.unwrap_or(id),
            cause,
            // A trace is a convenience: one that cannot be read is no reason to hold the message back.
            trace: trace.and_then(|text| text.parse().ok()),
            data,
        })
    })()
    .ok_or_else(damaged)?;
    let accepted = rest.optional(|reader| reader.time()).ok_or_else(damaged)?;
    let deliver_at = rest.optional(|reader| reader.time()).ok_or_else(damaged)?;
    Ok(Stored {
        envelope: Arc::new(envelope),
        accepted,
        deliver_at,
    })
}

/// Fields, each with its length before it.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<&[u8]>, StoreError> {
    let mut rest = Reader(packed);
    let mut fields = Vec::new();
    while !rest.0.is_empty() {
        fields.push(
            rest.field()
                .ok_or(StoreError::Damaged("packed fields are cut off"))?,
        );
    }
    Ok(fields)
}

/// What [`unpack`] reads.
pub(super) fn pack(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|field| field.len() + 4).sum());
    for field in fields {
        put(&mut out, field);
    }
    out
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).expect("a field is smaller than 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(field);
}

/// For what is never longer than 255 bytes.
fn put_short(out: &mut Vec<u8>, field: &[u8]) {
    out.push(u8::try_from(field.len()).expect("a digest and a type are shorter than 256 bytes"));
    out.extend_from_slice(field);
}

fn option(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => out.push(0),
        Some(field) => {
            out.push(1);
            put(out, field);
        }
    }
}

/// Reads what [`put`], [`put_short`] and [`option`] wrote. `None` is the end, or damage.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
        self.bytes(usize::try_from(length).ok()?)
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let [length] = *self.bytes(1)? else {
            return None;
        };
        self.bytes(usize::from(length))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.field()?.to_vec()).ok()
    }

    fn id(&mut self) -> Option<MessageId> {
        Some(MessageId::from_bytes(self.bytes(16)?.try_into().ok()?))
    }

    fn time(&mut self) -> Option<Timestamp> {
        let millis = self.bytes(8)?.try_into().ok()?;
        Some(Timestamp::from_millis(i64::from_be_bytes(millis)))
    }

    fn optional_text(&mut self) -> Option<Option<String>> {
        match self.bytes(1)? {
            [0] => Some(None),
            _ => Some(Some(self.text()?)),
        }
    }

    /// An optional field that `read` takes apart.
    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.bytes(1)? {
            [0] => Some(None),
            _ => {
                let mut inside = Reader(self.field()?);
                Some(Some(read(&mut inside)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Envelope {
        let now = Timestamp::from_millis(7);
        let ty = "org.openedx.payment.received.v1".parse().unwrap();
        Envelope::new(MessageId::new(now), ty, "/plugins/stripe", now, "1".into())
    }

    fn again(message: &Envelope) -> Stored {
        let key = message.key.as_deref().map(key_digest);
        let meta = encode(message, key.as_ref(), None, Some(Timestamp::from_millis(9)));
        decode(&meta, message.data.clone()).unwrap()
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut full = message();
        full.subject = Some("EDX-7".to_owned());
        full.key = Some("order-7".to_owned());
        full.lane = "orders".to_owned();
        full.cause = Some(MessageId::new(Timestamp::from_millis(3)));
        full.correlation = MessageId::new(Timestamp::from_millis(4));
        full.trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .ok();
        for one in [message(), full] {
            let read = again(&one);
            assert_eq!(*read.envelope, one);
            assert_eq!(read.deliver_at, Some(Timestamp::from_millis(9)));
            assert_eq!(read.accepted, None);
        }
    }

    #[test]
    fn cut_off_bytes_are_damage_and_no_panic() {
        let one = message();
        let meta = encode(&one, None, None, None);
        for length in 0..meta.len() {
            assert!(decode(&meta[..length], Bytes::new()).is_err());
        }
        assert!(unpack(&[0, 0, 0, 9, 1]).is_err());
        assert_eq!(unpack(&pack(&[b"a", b""])).unwrap(), [&b"a"[..], b""]);
    }
}
