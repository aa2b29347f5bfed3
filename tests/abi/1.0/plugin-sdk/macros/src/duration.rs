//! Durations, rates and sizes in attributes: `"30s"`, `"2s..15m"`, `"100/s"`, `"64KiB"`.

use syn::LitStr;

/// Milliseconds of `"500ms"`, `"30s"`, `"15m"`, `"2h"` or `"1d"`.
pub(crate) fn millis(literal: &LitStr) -> syn::Result<u64> {
    parse_millis(&literal.value()).ok_or_else(|| {
        syn::Error::new(
            literal.span(),
            "expected a duration such as \"500ms\", \"30s\" or \"15m\"",
        )
    })
}

/// Waits between attempts.
pub(crate) enum Backoff {
    /// The first one, doubled up to the longest.
    Range(u64, u64),
    /// Each by itself.
    List(Vec<u64>),
}

impl Backoff {
    /// The shortest and the longest wait.
    pub(crate) fn ends(&self) -> (u64, u64) {
        match self {
            Self::Range(min, max) => (*min, *max),
            Self::List(waits) => {
                let (min, max) = (waits.iter().min(), waits.iter().max());
                (min.copied().unwrap_or(0), max.copied().unwrap_or(0))
            }
        }
    }

    /// Each wait, if they are listed.
    pub(crate) fn waits(&self) -> &[u64] {
        match self {
            Self::Range(..) => &[],
            Self::List(waits) => waits,
        }
    }
}

/// `"2s..15m"`, or 2 to 64 waits such as `"1s, 10s, 5m"`, in milliseconds.
pub(crate) fn backoff(literal: &LitStr) -> syn::Result<Backoff> {
    let text = literal.value();
    let read = match text.split_once("..") {
        Some((from, to)) => parse_millis(from)
            .zip(parse_millis(to))
            .filter(|(from, to)| 0 < *from && from <= to)
            .map(|(from, to)| Backoff::Range(from, to)),
        None => text
            .split(',')
            .map(|wait| parse_millis(wait).filter(|wait| *wait > 0))
            .collect::<Option<Vec<_>>>()
            .filter(|waits| (2..=64).contains(&waits.len()))
            .map(Backoff::List),
    };
    read.ok_or_else(|| {
        syn::Error::new(
            literal.span(),
            "expected the shortest and the longest backoff, such as \"2s..15m\", or each one, such as \"1s, 10s, 5m\"",
        )
    })
}

/// `"100/s"`, `"30/m"` or `"1000/h"`: how many, and in how many milliseconds.
pub(crate) fn rate(literal: &LitStr) -> syn::Result<(u32, u64)> {
    let text = literal.value();
    let read = text.split_once('/').and_then(|(count, unit)| {
        let unit = match unit.trim() {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let count = count.trim().parse::<u32>().ok();
        count
            .filter(|count| (1..=100_000).contains(count))
            .map(|count| (count, unit))
    });
    read.ok_or_else(|| {
        syn::Error::new(
            literal.span(),
            "expected a number from 1 to 100000 and a time, such as \"100/s\", \"30/m\" or \"1000/h\"",
        )
    })
}

/// Bytes of `"64KiB"`, `"1MiB"` or `"512"`.
pub(crate) fn bytes(literal: &LitStr) -> syn::Result<u64> {
    let text = literal.value();
    let (number, unit) = split(&text);
    let unit: Option<u64> = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| {
            syn::Error::new(
                literal.span(),
                "expected a size such as \"64KiB\" or \"1MiB\"",
            )
        })
}

fn parse_millis(text: &str) -> Option<u64> {
    let (number, unit) = split(text.trim());
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}
