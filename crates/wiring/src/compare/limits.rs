//! What a schema says about scalars: lists of words, ranges, lengths.

use serde_json::Value;

use super::shape::{Shape, kind_of, kinds};

/// Why one of these words is not accepted.
pub(super) fn words(words: &[Value], takes: &[Shape<'_>]) -> Option<String> {
    let accepts = |taken: &Shape<'_>, word: &Value| {
        kinds::accepts(taken.kind(), Some(kind_of(word)))
            && taken.words().is_none_or(|words| words.contains(word))
    };
    let word = words
        .iter()
        .find(|word| !takes.iter().any(|taken| accepts(taken, word)))?;
    Some(format!("may be {word}, and {} is accepted", listed(takes)))
}

/// The words that are taken, or the kinds of values where there is no list.
pub(super) fn listed(takes: &[Shape<'_>]) -> String {
    let words: Vec<String> = takes
        .iter()
        .filter_map(|taken| taken.words())
        .flatten()
        .map(Value::to_string)
        .collect();
    if words.is_empty() {
        kinds::names(takes)
    } else {
        words.join(", ")
    }
}

/// Why the range of one is not within that of the other.
pub(super) fn numbers(produced: Shape<'_>, accepted: Shape<'_>) -> Option<String> {
    let ((low, high), (least, most)) = (range(produced), range(accepted));
    if low < least {
        return Some(format!(
            "may be below {}, which is the least accepted",
            shown(least)
        ));
    }
    if high > most {
        return Some(format!(
            "may be above {}, which is the most accepted",
            shown(most)
        ));
    }
    None
}

/// From its bounds and its format, whichever is narrower.
fn range(shape: Shape<'_>) -> (f64, f64) {
    let bound = |keyword| shape.get(keyword).and_then(Value::as_f64);
    let (low, high) = match shape.get("format").and_then(Value::as_str) {
        Some("int8") => (f64::from(i8::MIN), f64::from(i8::MAX)),
        Some("int16") => (f64::from(i16::MIN), f64::from(i16::MAX)),
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        Some("int" | "int64") => (-TWO_63, TWO_63),
        Some("uint8") => (0.0, f64::from(u8::MAX)),
        Some("uint16") => (0.0, f64::from(u16::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        Some("uint" | "uint64") => (0.0, 2.0 * TWO_63),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let low = low.max(
        bound("minimum")
            .or(bound("exclusiveMinimum"))
            .unwrap_or(low),
    );
    let high = high.min(
        bound("maximum")
            .or(bound("exclusiveMaximum"))
            .unwrap_or(high),
    );
    (low, high)
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;

fn shown(bound: f64) -> String {
    format!("{bound}")
}

/// Texts of which nothing is asked that the other side does not promise in the same words.
pub(super) fn texts_are_alike(produced: Shape<'_>, accepted: Shape<'_>) -> bool {
    ["format", "pattern", "minLength", "maxLength"]
        .into_iter()
        .all(|keyword| is_asked_alike(produced, accepted, keyword))
}

/// The same of lists.
pub(super) fn lengths_are_alike(produced: Shape<'_>, accepted: Shape<'_>) -> bool {
    ["minItems", "maxItems", "uniqueItems"]
        .into_iter()
        .all(|keyword| is_asked_alike(produced, accepted, keyword))
}

fn is_asked_alike(produced: Shape<'_>, accepted: Shape<'_>, keyword: &str) -> bool {
    let asked = accepted.get(keyword);
    asked.is_none() || asked == produced.get(keyword)
}
