//! How far an export is, as the text that its reader gives back.

use std::fmt;

use crate::UnknownCursor;
use crate::sqlite::error::StoreError;

/// The kind of record that comes next, and the last one of it that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By number.
    Handlers(i64),
    /// In the log, by position.
    Messages(u64),
    /// Not in the log yet, by number.
    Delayed(u64),
    /// By number.
    DeadLetters(i64),
    /// By scope.
    Keys(Vec<u8>),
    /// By name.
    Schedules(String),
}

impl Place {
    /// Where the next kind begins; `None` after the last.
    pub(super) fn next_kind(&self) -> Option<Self> {
        match self {
            Self::Handlers(_) => Some(Self::Messages(0)),
            Self::Messages(_) => Some(Self::Delayed(0)),
            Self::Delayed(_) => Some(Self::DeadLetters(0)),
            Self::DeadLetters(_) => Some(Self::Keys(Vec::new())),
            Self::Keys(_) => Some(Self::Schedules(String::new())),
            Self::Schedules(_) => None,
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, StoreError> {
        Self::parse(text).ok_or(StoreError::Cursor(UnknownCursor))
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, after) = text.split_once(':')?;
        let position = || after.parse().ok().filter(|at| *at <= u64::MAX >> 1);
        Some(match kind {
            "handlers" => Self::Handlers(after.parse().ok()?),
            "messages" => Self::Messages(position()?),
            "delayed" => Self::Delayed(position()?),
            "dead-letters" => Self::DeadLetters(after.parse().ok()?),
            "keys" => Self::Keys(unhex(after)?),
            "schedules" => Self::Schedules(after.to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handlers(after) => write!(f, "handlers:{after}"),
            Self::Messages(after) => write!(f, "messages:{after}"),
            Self::Delayed(after) => write!(f, "delayed:{after}"),
            Self::DeadLetters(after) => write!(f, "dead-letters:{after}"),
            Self::Keys(after) => {
                write!(f, "keys:")?;
                after.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Schedules(after) => write!(f, "schedules:{after}"),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in [
            Place::Handlers(3),
            Place::Messages(u64::MAX >> 1),
            Place::Delayed(0),
            Place::DeadLetters(9),
            Place::Keys(vec![0, 255, 17]),
            Place::Schedules("billing:nightly".to_owned()),
        ] {
            assert_eq!(Place::read(&place.to_string()).unwrap(), place);
        }
        for text in [
            "",
            "messages",
            "messages:-1",
            "keys:é1",
            "keys:abc",
            "roles:x",
        ] {
            assert!(Place::read(text).is_err(), "{text}");
        }
    }
}
