//! Reading attribute options, with "did you mean".

use syn::meta::ParseNestedMeta;

/// An error under an option that is not one of `known`.
pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, what: &str, known: &[&str]) -> syn::Error {
    let found = meta
        .path
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default();
    meta.error(unknown_text(&found, what, known))
}

/// ``unknown WHAT `FOUND`: expected `a`, `b` or `c` (did you mean `b`?)``
pub(crate) fn unknown_text(found: &str, what: &str, known: &[&str]) -> String {
    let expected = match known {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<_> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    };
    // `timezone` means `zone`, however near `timeout` is.
    let part = |name: &&&str| found.contains(**name) || (found.len() > 2 && name.contains(found));
    let nearest = match known.iter().find(part) {
        Some(name) => Some((0, *name)),
        None => known
            .iter()
            .map(|name| (distance(found, name), *name))
            .min(),
    };
    match nearest {
        Some((far, name)) if far <= 1 + found.len() / 2 => {
            format!("unknown {what} `{found}`: expected {expected} (did you mean `{name}`?)")
        }
        _ => format!("unknown {what} `{found}`: expected {expected}"),
    }
}

/// The one of `known` that `found` is almost.
pub(crate) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    // `timezone` means `zone`, however near `timeout` is.
    let part = |name: &&&str| found.contains(**name) || (found.len() > 2 && name.contains(found));
    let nearest = match known.iter().find(part) {
        Some(name) => Some((0, *name)),
        None => known
            .iter()
            .map(|name| (distance(found, name), *name))
            .min(),
    };
    nearest
        .filter(|(far, _)| *far <= 2 && *far < found.len() / 2)
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
