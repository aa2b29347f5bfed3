//! Message ids: UUIDv7 when first published, UUIDv5 when derived from a delivery.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Identifies one message for ever ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

/// The text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a message id: expected a UUID")]
pub struct ParseIdError {
    text: String,
    #[source]
    source: uuid::Error,
}

impl MessageId {
    /// A new id: UUIDv7, made of `now` and randomness, so that ids sort by time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let stamp = uuid::Timestamp::from_unix(
            uuid::NoContext,
            millis / 1_000,
            u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000,
        );
        Self(Uuid::new_v7(stamp))
    }

    /// The id of the `index`-th message that `handler` emits for this message.
    ///
    /// UUIDv5 of (this id, handler, replay number, index): a re-run of the delivery emits the same ids,
    /// a replay emits new ones.
    #[must_use]
    pub fn emitted(&self, handler: &str, replay: u32, index: u32) -> Self {
        Self(Uuid::new_v5(
            &self.0,
            format!("{handler}\u{0}{replay}\u{0}{index}").as_bytes(),
        ))
    }

    /// When it was made, to the millisecond, if the id says so: those of UUIDv7 do (RFC 9562, section 5.7), derived ones
    /// do not.
    #[must_use]
    pub fn made_at(&self) -> Option<Timestamp> {
        if self.0.get_version_num() != 7 {
            return None;
        }
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let millis = i64::try_from(seconds).ok()? * 1_000 + i64::from(nanos / 1_000_000);
        Some(Timestamp::from_millis(millis))
    }

    /// The 16 bytes, for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text)
            .map(Self)
            .map_err(|source| ParseIdError {
                text: text.chars().take(64).collect(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_made_and_a_derived_one_does_not() {
        let made = Timestamp::from_millis(1_770_000_000_123);
        assert_eq!(MessageId::new(made).made_at(), Some(made));
        assert_eq!(
            MessageId::new(made).emitted("lms.enrol", 0, 0).made_at(),
            None
        );
    }

    #[test]
    fn a_rerun_emits_the_same_id_and_a_replay_another() {
        let parent = MessageId::new(Timestamp::from_millis(1));
        assert_eq!(
            parent.emitted("lms.enrol", 0, 0),
            parent.emitted("lms.enrol", 0, 0)
        );
        assert_ne!(
            parent.emitted("lms.enrol", 0, 0),
            parent.emitted("lms.enrol", 1, 0)
        );
        assert_ne!(
            parent.emitted("lms.enrol", 0, 0),
            parent.emitted("lms.enrol", 0, 1)
        );
        assert_ne!(
            parent.emitted("lms.enrol", 0, 0),
            parent.emitted("crm.enrol", 0, 0)
        );
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = MessageId::new(Timestamp::from_millis(1_000));
        let late = MessageId::new(Timestamp::from_millis(2_000));
        assert!(early < late);
    }
}
