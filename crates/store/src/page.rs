//! A part of a list, and where it goes on.

use serde::Serialize;

use crate::StoreError;

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Give it back to go on; absent at the end.
    pub next: Option<String>,
}

/// A page never has more.
pub(crate) const MAX_LIMIT: usize = 500;

/// The limit as asked for, within 1 and 500.
pub(crate) fn within(limit: usize) -> usize {
    limit.clamp(1, MAX_LIMIT)
}

/// The number that a cursor stands for.
pub(crate) fn read(cursor: Option<&str>) -> Result<Option<i64>, StoreError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    match cursor.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(StoreError::Invalid {
            what: "cursor".to_owned(),
            problem: "expected the `next` of a page".to_owned(),
        }),
    }
}

impl<T> Page<T> {
    /// From one item more than the limit, if there are so many: then the list goes on.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, number: impl Fn(&T) -> i64) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| goes_on);
        Self {
            next: next.map(|last| number(last).to_string()),
            items,
        }
    }
}
