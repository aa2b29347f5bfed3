//! Cron expressions and time zones, as far as an author's mistake is told before a host reads them.

use syn::{Error, LitStr, Result};

/// Each field: its name, its lowest and its highest value, and the words that stand for values. Seconds may be left out.
const FIELDS: [(&str, u32, u32, &[&str]); 6] = [
    ("second", 0, 59, &[]),
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    ),
    (
        "day of the week",
        0,
        7,
        &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    ),
];

/// Holds an expression against five fields, or six, of numbers, `*`, ranges, lists and steps.
pub(crate) fn check(literal: &LitStr) -> Result<()> {
    let text = literal.value();
    let fields: Vec<&str> = text.split_whitespace().collect();
    let expected = match fields.len() {
        6 => &FIELDS[..],
        5 => &FIELDS[1..],
        other => {
            let text = format!(
                "expected minute, hour, day of the month, month and day of the week, such as \"0 3 * * *\", and maybe \
                 seconds before them, found {other} fields"
            );
            return Err(Error::new(literal.span(), text));
        }
    };
    for (field, &(name, low, high, words)) in fields.into_iter().zip(expected) {
        let fits = |part: &str| is_special(part) || fits(part, low, high, words);
        if !field.split(',').all(fits) {
            let text = format!(
                "`{field}` is no {name}: expected `*` or {low} to {high}, a range such as `{low}-{high}`, or a step such as `*/2`"
            );
            return Err(Error::new(literal.span(), text));
        }
    }
    Ok(())
}

/// The last day, the nearest weekday, the second Friday: `L`, `15W`, `5L`, `5#2`, `FRI#2`. What they stand for is for the
/// host to know.
fn is_special(part: &str) -> bool {
    let day = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    match part.split_once('#') {
        Some((weekday, nth)) => day(weekday) && (nth == "L" || nth.parse::<u8>().is_ok()),
        None => part
            .strip_suffix(['L', 'W'])
            .is_some_and(|day| day.bytes().all(|b| b.is_ascii_digit())),
    }
}

fn fits(part: &str, low: u32, high: u32, words: &[&str]) -> bool {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let step_fits =
        step.is_none_or(|step| step.parse::<u32>().is_ok_and(|n| (1..=high).contains(&n)));
    let value = |text: &str| {
        let word = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(text));
        let number = match word {
            Some(at) => u32::try_from(at).ok().map(|at| at + low),
            None => text.parse::<u32>().ok(),
        };
        number.filter(|number| (low..=high).contains(number))
    };
    let range_fits = match range.split_once('-') {
        Some((from, to)) => value(from)
            .zip(value(to))
            .is_some_and(|(from, to)| from <= to),
        None => range == "*" || value(range).is_some(),
    };
    step_fits && range_fits
}

/// Holds a zone against the form of IANA names: whether there is one is for the host to know.
pub(crate) fn check_zone(literal: &LitStr) -> Result<()> {
    let text = literal.value();
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    if text == "UTC" || (text.contains('/') && text.split('/').all(part)) {
        return Ok(());
    }
    let text =
        format!("`{text}` is no time zone: expected a name such as \"Europe/Berlin\" or \"UTC\"");
    Err(Error::new(literal.span(), text))
}
