//! Durations and sizes in attributes: `"30s"`, `"2s..15m"`, `"64KiB"`.

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

/// Both ends of `"2s..15m"`, in milliseconds.
pub(crate) fn range_millis(literal: &LitStr) -> syn::Result<(u64, u64)> {
    let text = literal.value();
    text.split_once("..")
        .and_then(|(from, to)| Some((parse_millis(from)?, parse_millis(to)?)))
        .filter(|(from, to)| 0 < *from && from <= to)
        .ok_or_else(|| {
            syn::Error::new(
                literal.span(),
                "expected the shortest and the longest backoff, such as \"2s..15m\"",
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
