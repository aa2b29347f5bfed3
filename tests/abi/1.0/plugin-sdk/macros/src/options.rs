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
    let nearest = known
        .iter()
        .map(|name| (distance(found, name), *name))
        .min();
    match nearest {
        Some((far, name)) if far <= 1 + found.len() / 2 => {
            format!("unknown {what} `{found}`: expected {expected} (did you mean `{name}`?)")
        }
        _ => format!("unknown {what} `{found}`: expected {expected}"),
    }
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
