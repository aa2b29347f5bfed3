//! What idempotency is decided by: the same bytes in every engine, so that keys move with a journal.
//!
//! In: parts of a message. Out: the first half of a SHA-256: collisions are out of reach, and an index stays small.

use sha2::{Digest as _, Sha256};

use crate::NewMessage;

/// Bytes of a digest.
pub(crate) const LENGTH: usize = 16;

/// Half of a SHA-256.
pub(crate) type Digest = [u8; LENGTH];

/// What an idempotency key is unique within; `None` if the message has no key.
pub(crate) fn scope(message: &NewMessage) -> Option<Digest> {
    let key = message.idempotency_key.as_deref()?;
    Some(digest(&[
        message.publisher.as_bytes(),
        message.envelope.ty.as_str().as_bytes(),
        key.as_bytes(),
    ]))
}

/// Tells one payload from another.
pub(crate) fn payload(message: &NewMessage) -> Digest {
    digest(&[&message.envelope.data])
}

/// A digest as it was stored; `None` if it is not one.
pub(crate) fn read(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok()
}

/// Over parts with their lengths, so that no two lists of parts are the same bytes.
pub(crate) fn digest(parts: &[&[u8]]) -> Digest {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut half = Digest::default();
    half.copy_from_slice(&digest.finalize()[..LENGTH]);
    half
}
