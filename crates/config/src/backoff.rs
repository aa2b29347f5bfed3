//! Waits between attempts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The first wait, doubled up to the longest: `2s..15m`. Or each wait by itself: `1s, 10s, 5m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// First wait; of a list, the shortest.
    pub min: Duration,
    /// Longest wait, at least `min`.
    pub max: Duration,
    /// The waits one after the other, of which the last is repeated; empty if they double.
    pub waits: Vec<Duration>,
}

impl Backoff {
    /// Waits in a list, at most.
    pub const MOST_WAITS: usize = 64;

    /// The waits of a list; `None` if there are too few or too many, or one is zero.
    #[must_use]
    pub fn of_list(waits: Vec<Duration>) -> Option<Self> {
        let (min, max) = (*waits.iter().min()?, *waits.iter().max()?);
        let fits = (2..=Self::MOST_WAITS).contains(&waits.len()) && !min.is_zero();
        fits.then_some(Self { min, max, waits })
    }
}

/// The text is not a backoff.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a backoff\n  (two durations, the shorter first: 2s..15m; or 2 to 64 waits: 1s, 10s, 5m)"
)]
pub struct ParseBackoffError;

impl FromStr for Backoff {
    type Err = ParseBackoffError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read =
            |part: &str| humantime::parse_duration(part.trim()).map_err(|_| ParseBackoffError);
        let Some((min, max)) = text.split_once("..") else {
            let waits = text.split(',').map(read).collect::<Result<Vec<_>, _>>()?;
            return Self::of_list(waits).ok_or(ParseBackoffError);
        };
        let (min, max) = (read(min)?, read(max)?);
        if min <= max {
            let waits = Vec::new();
            Ok(Self { min, max, waits })
        } else {
            Err(ParseBackoffError)
        }
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |wait: &Duration| humantime::format_duration(*wait).to_string();
        if self.waits.is_empty() {
            write!(f, "{}..{}", text(&self.min), text(&self.max))
        } else {
            let waits: Vec<_> = self.waits.iter().map(text).collect();
            f.write_str(&waits.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_is_read_and_printed() {
        let backoff: Backoff = "2s..15m".parse().unwrap();
        assert_eq!((backoff.min.as_secs(), backoff.max.as_secs()), (2, 900));
        assert_eq!(backoff.to_string(), "2s..15m");
        let list: Backoff = "1s,10s,  5m".parse().unwrap();
        assert_eq!((list.min.as_secs(), list.max.as_secs()), (1, 300));
        assert_eq!(list.to_string(), "1s, 10s, 5m");
        for text in ["2s", "15m..2s", "2..15", "..", "1s,", "1s, 0s", "1s, 2"] {
            assert!(text.parse::<Backoff>().is_err(), "{text}");
        }
    }
}
