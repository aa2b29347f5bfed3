//! Waits between attempts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The first wait, doubled up to the longest: `2s..15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First wait.
    pub min: Duration,
    /// Longest wait, at least `min`.
    pub max: Duration,
}

/// The text is not a backoff.
#[derive(Debug, thiserror::Error)]
#[error("not a backoff\n  (two durations, the shorter first: 2s..15m)")]
pub struct ParseBackoffError;

impl FromStr for Backoff {
    type Err = ParseBackoffError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read =
            |part: &str| humantime::parse_duration(part.trim()).map_err(|_| ParseBackoffError);
        let (min, max) = text.split_once("..").ok_or(ParseBackoffError)?;
        let (min, max) = (read(min)?, read(max)?);
        if min <= max {
            Ok(Self { min, max })
        } else {
            Err(ParseBackoffError)
        }
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (
            humantime::format_duration(self.min),
            humantime::format_duration(self.max),
        );
        write!(f, "{min}..{max}")
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
        for text in ["2s", "15m..2s", "2..15", ".."] {
            assert!(text.parse::<Backoff>().is_err(), "{text}");
        }
    }
}
