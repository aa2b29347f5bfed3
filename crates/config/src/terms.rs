//! Terms of handlers that are words or rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::value::{Raw, Setting};

/// Which order a handler's messages are delivered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// None: many at once, whatever their keys.
    #[default]
    None,
    /// Messages of one ordering key one after the other, in the order of the log, within their lane.
    Key,
}

/// What becomes of a delivery that is given up, for a handler that keeps order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// It is a dead letter, and later messages of its key go on.
    #[default]
    DeadLetter,
    /// It stays where it is and holds its key until an operator replays or discards it.
    HoldKey,
    /// It is a dead letter, and so are the messages of its key that wait behind it.
    DeadLetterKey,
}

/// So many within a time: `100/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, from 1 to [`Rate::MOST`].
    pub count: u32,
    /// Within which time.
    pub per: Duration,
}

/// The text is not a rate.
#[derive(Debug, thiserror::Error)]
#[error("not a rate\n  (a number from 1 to 100000 and a time: 100/s, 30/m or 1000/h)")]
pub struct ParseRateError;

impl Order {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
        }
    }
}

impl OnExhausted {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead-letter",
            Self::HoldKey => "hold-key",
            Self::DeadLetterKey => "dead-letter-key",
        }
    }
}

impl Rate {
    /// The largest count: the times of that many starts are kept in memory.
    pub const MOST: u32 = 100_000;
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, unit) = text.split_once('/').ok_or(ParseRateError)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(ParseRateError),
        };
        let count = count.trim().parse().map_err(|_| ParseRateError)?;
        if (1..=Self::MOST).contains(&count) {
            let per = Duration::from_secs(seconds);
            Ok(Self { count, per })
        } else {
            Err(ParseRateError)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, per } = self;
        match per.as_secs() {
            1 => write!(f, "{count}/s"),
            60 => write!(f, "{count}/m"),
            3600 => write!(f, "{count}/h"),
            _ => write!(f, "{count} in {}", humantime::format_duration(*per)),
        }
    }
}

impl Setting for Order {
    const EXPECTED: &'static str = "\"key\" or \"none\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        let text = raw.text()?;
        [Self::None, Self::Key]
            .into_iter()
            .find(|order| order.as_str() == text)
    }
}

impl Setting for OnExhausted {
    const EXPECTED: &'static str = "\"dead-letter\", \"hold-key\" or \"dead-letter-key\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        let text = raw.text()?;
        [Self::DeadLetter, Self::HoldKey, Self::DeadLetterKey]
            .into_iter()
            .find(|word| word.as_str() == text)
    }
}

impl Setting for Rate {
    const EXPECTED: &'static str = "a rate such as \"100/s\", \"30/m\" or \"1000/h\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.parsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_printed() {
        for text in ["100/s", "30/m", "1/h", "100000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["100", "0/s", "100001/s", "-1/s", "1.5/s", "5/d", "/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
