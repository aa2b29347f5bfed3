//! Sizes in bytes, written with their unit.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A size, more than zero: `64KiB`, `4GiB`, `500 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// The text is not a size.
#[derive(Debug, thiserror::Error)]
#[error("not a size\n  (a whole number and a unit: 64KiB, 4GiB)")]
pub struct ParseSizeError;

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes, for things in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
            .ok_or(ParseSizeError)?;
        let number: u64 = number.trim_end().parse().map_err(|_| ParseSizeError)?;
        let bytes = number.checked_mul(factor).ok_or(ParseSizeError)?;
        if bytes == 0 {
            Err(ParseSizeError)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .iter()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit_and_printed_with_it() {
        for (text, bytes, printed) in [
            ("64KiB", 65_536, "64KiB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("500MB", 500_000_000, "500MB"),
            ("17B", 17, "17B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed));
        }
    }

    #[test]
    fn a_number_alone_nothing_and_too_much_are_no_sizes() {
        for text in [
            "",
            "64",
            "KiB",
            "-1KiB",
            "1.5GiB",
            "0B",
            "99999999999TiB",
            "1 kib",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
