//! The environment as a layer: `COORDINATOR__SECTION__KEY`.

use figment::value::{Dict, Value};

const PREFIX: &str = "COORDINATOR__";

/// The table that one variable stands for, or what is wrong with its name. `None`: not ours.
///
/// Instance names have dashes, which no shell allows in a variable: `_` stands for them.
/// `COORDINATOR__WIRING__HANDLERS__LMS__ENROL__TIMEOUT` is `wiring.handlers."lms.enrol".timeout`, and
/// `COORDINATOR__FLAGS__LMS__NEW_CHECKOUT` is `flags."lms.new_checkout"`.
pub(crate) fn nested(name: &str, value: &str) -> Option<Result<Dict, String>> {
    let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let parts: Vec<&str> = path.split("__").collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Some(Err("expected COORDINATOR__SECTION__KEY".to_owned()));
    }
    // Kept as text: what it should be is known only where it is read.
    let leaf = Value::from(value);
    let nested = keys(&parts)
        .into_iter()
        .rev()
        .fold(leaf, |inner, key| Value::from(Dict::from([(key, inner)])));
    Some(
        nested
            .into_dict()
            .ok_or_else(|| "expected COORDINATOR__SECTION__KEY".to_owned()),
    )
}

fn keys(parts: &[&str]) -> Vec<String> {
    let dashed = |part: &str| part.replace('_', "-");
    let (mut head, rest) = match parts {
        ["plugins", instance, rest @ ..] => (vec!["plugins".to_owned(), dashed(instance)], rest),
        ["api", "keys", name, rest @ ..] => (
            vec!["api".to_owned(), "keys".to_owned(), dashed(name)],
            rest,
        ),
        ["wiring", "handlers", instance, handler, rest @ ..] => {
            let id = format!("{}.{handler}", dashed(instance));
            (vec!["wiring".to_owned(), "handlers".to_owned(), id], rest)
        }
        ["flags", instance, flag] => {
            let id = format!("{}.{flag}", dashed(instance));
            (vec!["flags".to_owned(), id], &[][..])
        }
        ["wiring", "schedules", name, rest @ ..] => (
            vec!["wiring".to_owned(), "schedules".to_owned(), dashed(name)],
            rest,
        ),
        rest => (Vec::new(), rest),
    };
    head.extend(rest.iter().map(|part| (*part).to_owned()));
    head
}
