//! A list whose items are texts or tables: `keys = ["RW…", { key = "RW…", name = "acme" }]`.

use std::cell::RefCell;

use figment::value::{Dict, Value};

use super::Reader;

impl Reader<'_> {
    /// Reads each item as a table, to its end; a text stands for the table that has only `main`. From the environment, a
    /// text is a list with commas.
    pub(crate) fn items<T>(
        &self,
        name: &'static str,
        main: &str,
        expected: &str,
        read: impl Fn(&Reader<'_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let items = match value {
            Value::Array(_, items) => items.clone(),
            Value::String(tag, text) if self.raw(value).from_env => {
                let parts = text.split(',').map(str::trim);
                let parts = parts.filter(|part| !part.is_empty());
                parts
                    .map(|part| Value::String(*tag, part.to_owned()))
                    .collect()
            }
            _ => vec![value.clone()],
        };
        let mut made = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let key = self.key.child(name).child(&at.to_string());
            let table = match item {
                Value::Dict(_, table) => table,
                Value::String(..) => Dict::from([(main.to_owned(), item)]),
                _ => {
                    self.report(&key, value, format!("expected {expected}"), None);
                    continue;
                }
            };
            let inner = Reader {
                load: self.load,
                key,
                table: Some(&table),
                defaults: None,
                source: self.load.layers.source(value.tag()),
                asked: RefCell::default(),
            };
            made.push(read(&inner));
            inner.report_unknown();
        }
        made
    }
}
