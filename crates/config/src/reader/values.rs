//! A table whose keys the operator has chosen: `"lms.new_checkout" = true`.

use super::Reader;
use crate::value::Setting;

impl Reader<'_> {
    /// Reads the values in the table `name`, whose keys the operator has chosen: `expected` says which there can be.
    pub(crate) fn values<T: Setting>(
        &self,
        name: &'static str,
        expected: &str,
        is_key: impl Fn(&str) -> bool,
    ) -> Vec<(String, T)> {
        self.asked.borrow_mut().push(name);
        let inner = self.reader(name);
        let mut values = Vec::new();
        for (key, value) in inner.table.into_iter().flatten() {
            let at = inner.key.child(key);
            if !is_key(key) {
                inner.report(&at, value, format!("expected {expected}"), None);
                continue;
            }
            match T::read(inner.raw(value)) {
                Some(read) => values.push((key.clone(), read)),
                None => inner.report(&at, value, format!("expected {}", T::EXPECTED), None),
            }
        }
        values
    }
}
