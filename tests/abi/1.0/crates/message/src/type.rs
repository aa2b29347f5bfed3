//! Message types: reverse-DNS names that end in a version.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A message type such as `org.openedx.payment.received.v1`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageType(Arc<str>);

/// The text is not a message type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a message type: expected reverse-DNS with a version, such as `org.example.thing.happened.v1`"
)]
pub struct ParseTypeError {
    text: String,
}

impl MessageType {
    /// Longest accepted type, in bytes.
    pub const MAX_LEN: usize = 200;

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// At least three dot-separated segments of `[a-z0-9_-]`, the last of them `v` and a number.
fn is_type(text: &str) -> bool {
    let segments: Vec<&str> = text.split('.').collect();
    let version = segments.last().and_then(|last| last.strip_prefix('v'));
    text.len() <= MessageType::MAX_LEN
        && segments.len() >= 3
        && version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
        && segments.iter().all(|segment| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        })
}

impl FromStr for MessageType {
    type Err = ParseTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_type(text) {
            Ok(Self(text.into()))
        } else {
            Err(ParseTypeError {
                text: text.chars().take(MessageType::MAX_LEN).collect(),
            })
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for MessageType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MessageType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_reverse_dns_and_versioned() {
        assert!(
            "org.openedx.payment.received.v1"
                .parse::<MessageType>()
                .is_ok()
        );
        for text in [
            "",
            "v1",
            "a.v1",
            "org.openedx.payment",
            "org..x.v1",
            "org.Open.x.v1",
            "org.x.y.v",
            "org.x y.v1",
        ] {
            assert!(text.parse::<MessageType>().is_err(), "{text}");
        }
    }
}
