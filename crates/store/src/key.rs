//! Keys of overrides: what they may be, and which stand below which.

use sea_orm::sea_query::{Expr, ExprTrait as _, IntoColumnRef, SimpleExpr};

use crate::StoreError;

/// Bytes of the longest key, as the column is made.
const MAX_KEY: usize = 500;

/// Refuses what cannot be a key. What it means is not known here.
pub(crate) fn check(key: &str) -> Result<(), StoreError> {
    let problem = if key.is_empty() {
        "a key cannot be empty".to_owned()
    } else if key.len() > MAX_KEY {
        format!("a key has at most {MAX_KEY} bytes")
    } else if key.trim() != key || key.chars().any(char::is_control) {
        // MariaDB compares text without the spaces at its end.
        "a key has no control characters and no space at its ends".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Err(StoreError::Invalid {
        what: format!("`{shown}`"),
        problem,
    })
}

/// Whether `key` is `top`, or stands below it.
pub(crate) fn is_within(key: &str, top: &str) -> bool {
    key.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The same in SQL: `/` is the letter after `.`, and letters are compared as they are.
pub(crate) fn within(column: impl IntoColumnRef + Copy, top: &str) -> SimpleExpr {
    let below = Expr::col(column)
        .gte(format!("{top}."))
        .and(Expr::col(column).lt(format!("{top}/")));
    Expr::col(column).eq(top).or(below)
}

/// The first pair of keys of which one stands below the other.
pub(crate) fn overlap<'a>(
    keys: impl Iterator<Item = &'a String> + Clone,
    changed: &[&'a String],
) -> Option<(&'a String, &'a String)> {
    let below = |top: &str, key: &str| key != top && is_within(key, top);
    changed.iter().find_map(|new| {
        keys.clone().find_map(|key| {
            if below(new, key) {
                Some((*new, key))
            } else {
                below(key, new).then_some((key, *new))
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_below_another_at_a_dot_only() {
        assert!(is_within("plugins.lms.enabled", "plugins.lms"));
        assert!(is_within("plugins.lms", "plugins.lms"));
        assert!(!is_within("plugins.lms-two.enabled", "plugins.lms"));
        assert!(!is_within("plugins", "plugins.lms"));
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        assert!(check(r#"wiring.handlers."lms.enrol".timeout"#).is_ok());
        for key in ["", " a", "a ", "a\nb", &"x".repeat(501)] {
            assert!(check(key).is_err(), "{key:?}");
        }
    }
}
