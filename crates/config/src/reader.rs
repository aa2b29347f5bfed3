//! Reads one table setting by setting and notes every mistake instead of stopping at the first.

mod items;
mod values;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::{Dict, Value};

use crate::error::ConfigError;
use crate::key::Key;
use crate::layers::{Layers, Source};
use crate::secret::Secret;
use crate::secret_ref::SecretPlaces;
use crate::suggest::nearest;
use crate::value::{Raw, Setting, render};

/// What all readers of one load share.
pub(crate) struct Load<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) secrets: &'a SecretPlaces,
    pub(crate) errors: RefCell<Vec<ConfigError>>,
}

/// One table.
pub(crate) struct Reader<'a> {
    load: &'a Load<'a>,
    key: Key,
    table: Option<&'a Dict>,
    /// The same table as built in, to go on with after a mistake.
    defaults: Option<&'a Dict>,
    /// The layer that blames itself for what is missing.
    source: Source,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Load<'a> {
    /// The whole configuration.
    pub(crate) fn root(&'a self) -> Reader<'a> {
        Reader {
            load: self,
            key: Key::default(),
            table: Some(self.layers.root()),
            defaults: Some(self.layers.defaults()),
            source: self.layers.operator().clone(),
            asked: RefCell::default(),
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads the table `name` in this one, to its end: what `read` does not ask for is a mistake.
    pub(crate) fn section<T>(&self, name: &'static str, read: impl FnOnce(&Reader<'a>) -> T) -> T {
        self.asked.borrow_mut().push(name);
        self.table_at(name, read)
    }

    /// Reads the tables in the table `name`, which the operator has named.
    pub(crate) fn named<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str, &Reader<'a>) -> T,
    ) -> Vec<(String, T)> {
        self.asked.borrow_mut().push(name);
        let outer = self.reader(name);
        let names = outer.table.into_iter().flat_map(Dict::keys);
        names
            .map(|name| {
                (
                    name.clone(),
                    outer.table_at(name, |reader| read(name, reader)),
                )
            })
            .collect()
    }

    fn table_at<T>(&self, name: &str, read: impl FnOnce(&Reader<'a>) -> T) -> T {
        let inner = self.reader(name);
        let read = read(&inner);
        inner.report_unknown();
        read
    }

    fn reader(&self, name: &str) -> Self {
        let key = self.key.child(name);
        let value = self.table.and_then(|table| table.get(name));
        let table = match value {
            Some(Value::Dict(_, table)) => Some(table),
            Some(other) => {
                self.report(&key, other, "expected a table".to_owned(), None);
                None
            }
            None => None,
        };
        let defaults = self.defaults.and_then(|table| match table.get(name) {
            Some(Value::Dict(_, table)) => Some(table),
            _ => None,
        });
        let source = self.blame(table);
        Self {
            load: self.load,
            key,
            table,
            defaults,
            source,
            asked: RefCell::default(),
        }
    }

    /// The first layer beside the defaults that says something in this table.
    fn blame(&self, table: Option<&Dict>) -> Source {
        table
            .into_iter()
            .flat_map(Dict::values)
            .map(|value| self.load.layers.source(value.tag()))
            .find(|source| *source != Source::Default)
            .unwrap_or_else(|| self.source.clone())
    }

    /// A setting that has a built-in default.
    pub(crate) fn get<T: Setting>(&self, name: &'static str) -> T {
        self.optional(name).unwrap_or_else(|| {
            let value = self.built_in(name);
            T::read(Raw {
                value,
                from_env: false,
            })
            .expect("defaults are of their type")
        })
    }

    /// A setting with a default in a table that the operator names.
    pub(crate) fn get_or<T: Setting>(&self, name: &'static str, after_mistake: T) -> T {
        self.optional(name).unwrap_or(after_mistake)
    }

    /// A setting that may be absent.
    pub(crate) fn optional<T: Setting>(&self, name: &'static str) -> Option<T> {
        let value = self.value(name)?;
        let read = T::read(self.raw(value));
        if read.is_none() {
            self.report(
                &self.key.child(name),
                value,
                format!("expected {}", T::EXPECTED),
                None,
            );
        }
        read
    }

    /// A setting without which the table makes no sense.
    pub(crate) fn required<T: Setting>(&self, name: &'static str) -> Option<T> {
        if self.value(name).is_none() {
            self.missing(name, T::EXPECTED);
        }
        self.optional(name)
    }

    /// A path, taken from the configuration file's folder.
    pub(crate) fn path(&self, text: String) -> PathBuf {
        self.load.secrets.resolve_path(&text)
    }

    /// A duration above zero, with a built-in default.
    pub(crate) fn positive(&self, name: &'static str) -> Duration {
        let duration: Duration = self.get(name);
        if duration.is_zero() {
            self.reject(name, "expected more than zero");
        }
        duration
    }

    /// A number with a built-in default and a lower bound.
    pub(crate) fn at_least<T: Setting + PartialOrd + fmt::Display>(
        &self,
        name: &'static str,
        least: T,
    ) -> T {
        let number: T = self.get(name);
        if number < least {
            self.reject(name, &format!("expected at least {least}"));
        }
        number
    }

    /// A required secret. Files are read by many, so a literal is accepted from the environment alone.
    pub(crate) fn secret(&self, name: &'static str) -> Option<Secret> {
        const EXPECTED: &str = "\"env:VARIABLE\" or \"file:PATH\"";
        let Some(value) = self.value(name) else {
            self.missing(name, EXPECTED);
            return None;
        };
        let key = self.key.child(name);
        let raw = self.raw(value);
        let Some(text) = raw.text() else {
            self.report(&key, value, format!("expected {EXPECTED}"), None);
            return None;
        };
        if SecretPlaces::is_literal(text) && !raw.from_env {
            let hint = "put the secret into a variable or a file and name it here".to_owned();
            self.report(&key, value, format!("expected {EXPECTED}"), Some(hint));
            return None;
        }
        match self.load.secrets.resolve(text) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.report(&key, value, problem.to_string(), None);
                None
            }
        }
    }

    /// A URL that may hold a password: written out where it holds none, else `env:` or `file:`.
    pub(crate) fn secret_url(&self, name: &'static str, required: bool) -> Option<Secret> {
        const EXPECTED: &str = "a URL, \"env:VARIABLE\" or \"file:PATH\"";
        let Some(value) = self.value(name) else {
            if required {
                self.missing(name, EXPECTED);
            }
            return None;
        };
        let raw = self.raw(value);
        let key = self.key.child(name);
        let Some(text) = raw.text() else {
            self.report(&key, value, format!("expected {EXPECTED}"), None);
            return None;
        };
        let authority = text.split_once("://").map(|(_, rest)| rest);
        let holds_password = authority
            .and_then(|rest| rest.split(['/', '?']).next())
            .and_then(|authority| authority.rsplit_once('@'))
            .is_some_and(|(credentials, _)| credentials.contains(':'));
        if SecretPlaces::is_literal(text) && holds_password && !raw.from_env {
            let hint = "put the whole URL into a variable or a file and name it here".to_owned();
            let problem = "a password does not belong in a configuration file".to_owned();
            self.note(
                key,
                self.load.layers.source(value.tag()),
                problem,
                Some(hint),
            );
            return None;
        }
        match self.load.secrets.resolve(text) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.report(&key, value, problem.to_string(), None);
                None
            }
        }
    }

    /// The value of a table whose keys are not ours.
    pub(crate) fn free_form(&self, name: &'static str) {
        if let Some(value) = self.value(name)
            && !matches!(value, Value::Dict(..))
        {
            self.report(
                &self.key.child(name),
                value,
                "expected a table".to_owned(),
                None,
            );
        }
    }

    /// The same, as JSON.
    pub(crate) fn json(&self, name: &'static str) -> Option<serde_json::Value> {
        self.free_form(name);
        let value = self.table.and_then(|table| table.get(name))?;
        value.deserialize().ok()
    }

    /// Notes that a value is of its type and yet cannot be.
    pub(crate) fn reject(&self, name: &str, problem: &str) {
        match self.table.and_then(|table| table.get(name)) {
            Some(value) => self.report(&self.key.child(name), value, problem.to_owned(), None),
            None => self.note(
                self.key.child(name),
                self.source.clone(),
                problem.to_owned(),
                None,
            ),
        }
    }

    /// The same, of a value that is better not shown.
    pub(crate) fn reject_unseen(&self, name: &str, problem: &str) {
        let value = self.table.and_then(|table| table.get(name));
        let source = value.map_or_else(
            || self.source.clone(),
            |value| self.load.layers.source(value.tag()),
        );
        self.note(self.key.child(name), source, problem.to_owned(), None);
    }

    /// Notes that the table's own name cannot be.
    pub(crate) fn reject_name(&self, problem: &str) {
        self.note(
            self.key.clone(),
            self.source.clone(),
            problem.to_owned(),
            None,
        );
    }

    fn missing(&self, name: &str, expected: &str) {
        let problem = format!("missing, expected {expected}");
        self.note(self.key.child(name), self.source.clone(), problem, None);
    }

    fn raw(&self, value: &'a Value) -> Raw<'a> {
        let from_env = matches!(self.load.layers.source(value.tag()), Source::Env(_));
        Raw { value, from_env }
    }

    fn value(&self, name: &'static str) -> Option<&'a Value> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&name) {
            asked.push(name);
        }
        self.table?.get(name)
    }

    fn built_in(&self, name: &'static str) -> &'a Value {
        self.defaults
            .and_then(|table| table.get(name))
            .expect("every setting without an alternative has a default")
    }

    pub(crate) fn report_unknown(&self) {
        let asked = self.asked.borrow();
        for (name, value) in self.table.into_iter().flatten() {
            if asked.contains(&name.as_str()) {
                continue;
            }
            let hint = nearest(name, asked.iter().copied())
                .map(|near| format!("did you mean `{near}`?"))
                .unwrap_or_else(|| format!("known here: {}", asked.join(", ")));
            let source = self.load.layers.source(deepest(value).tag());
            self.note(
                self.key.child(name),
                source,
                "unknown setting".to_owned(),
                Some(hint),
            );
        }
    }

    fn report(&self, key: &Key, value: &Value, problem: String, hint: Option<String>) {
        let source = self.load.layers.source(deepest(value).tag());
        let found = (!key.sounds_secret()).then(|| clip(render(value)));
        self.load.errors.borrow_mut().push(ConfigError {
            source,
            key: key.to_string(),
            problem,
            found,
            hint,
        });
    }

    fn note(&self, key: Key, source: Source, problem: String, hint: Option<String>) {
        let error = ConfigError {
            source,
            key: key.to_string(),
            problem,
            found: None,
            hint,
        };
        self.load.errors.borrow_mut().push(error);
    }
}

/// A table may be spread over layers; its first leaf names one that is really there.
fn deepest(value: &Value) -> &Value {
    match value {
        Value::Dict(_, table) => table.values().next().map_or(value, deepest),
        _ => value,
    }
}

fn clip(mut text: String) -> String {
    const SHOWN: usize = 80;
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
