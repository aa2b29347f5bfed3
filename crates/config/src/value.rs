//! Readers for the kinds of values that settings have.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Num, Value};

use crate::{Backoff, ByteSize};

/// A value and whether it is text only because it came from the environment.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) value: &'a Value,
    pub(crate) from_env: bool,
}

/// A type that a setting may have.
pub(crate) trait Setting: Sized {
    /// Completes the sentence "expected …".
    const EXPECTED: &'static str;

    /// Reads the value, if it is of this type.
    fn read(raw: Raw<'_>) -> Option<Self>;
}

impl<'a> Raw<'a> {
    pub(crate) fn text(self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(crate) fn parsed<T: FromStr>(self) -> Option<T> {
        self.text()?.parse().ok()
    }

    fn integer(self) -> Option<u64> {
        match self.value {
            Value::Num(_, number) => match number.to_i128() {
                Some(signed) => signed.try_into().ok(),
                None => number.to_u128()?.try_into().ok(),
            },
            Value::String(_, text) if self.from_env => text.parse().ok(),
            _ => None,
        }
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.value {
            Value::Bool(_, value) => Some(*value),
            Value::String(..) if raw.from_env => raw.parsed(),
            _ => None,
        }
    }
}

impl Setting for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.integer()
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number up to 4294967295";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.integer()?.try_into().ok()
    }
}

impl Setting for usize {
    const EXPECTED: &'static str = "a whole number";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.integer()?.try_into().ok()
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "text";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.text().map(str::to_owned)
    }
}

impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.value {
            Value::Array(_, items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Value::String(_, text) if raw.from_env => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Some(items.map(str::to_owned).collect())
            }
            _ => None,
        }
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration such as \"15m\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        humantime::parse_duration(raw.text()?).ok()
    }
}

impl Setting for ByteSize {
    const EXPECTED: &'static str = "a size such as \"64KiB\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.parsed()
    }
}

impl Setting for Backoff {
    const EXPECTED: &'static str =
        "\"2s..15m\" (the shortest and the longest wait) or \"1s, 10s, 5m\" (each wait)";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.parsed()
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port such as \"127.0.0.1:8140\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        raw.parsed()
    }
}

/// The value as an operator would write it.
pub(crate) fn render(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, letter) => format!("{:?}", letter.to_string()),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => render_number(*number),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(_, table) => {
            let items: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", render(value)))
                .collect();
            format!("{{ {} }}", items.join(", "))
        }
        Value::Array(_, items) => {
            format!(
                "[{}]",
                items.iter().map(render).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn render_number(number: Num) -> String {
    let whole = number.to_i128().map(|n| n.to_string());
    let whole = whole.or_else(|| number.to_u128().map(|n| n.to_string()));
    whole
        .or_else(|| number.to_f64().map(|n| n.to_string()))
        .unwrap_or_default()
}

/// Replaces dates by their text: JSON has none, and figment keeps TOML's in a table of this name.
pub(crate) fn plain_dates(table: Dict) -> Dict {
    const DATE: &str = "$__toml_private_datetime";
    fn plain(value: Value) -> Value {
        match value {
            Value::Dict(_, mut date) if date.contains_key(DATE) => {
                date.remove(DATE).expect("was just seen")
            }
            Value::Dict(tag, inner) => Value::Dict(tag, plain_dates(inner)),
            Value::Array(tag, items) => Value::Array(tag, items.into_iter().map(plain).collect()),
            other => other,
        }
    }
    table
        .into_iter()
        .map(|(name, value)| (name, plain(value)))
        .collect()
}

/// What an environment variable for a plugin's own setting means: its type is in the plugin's
/// schema, which is not known here. TOML is read as TOML, anything else as text. A number counts
/// as one only if it prints as it was written, so that `1_000` and `0x10` stay text; `"7"` in
/// quotes is text as well.
pub(crate) fn guess_type(text: &str) -> Value {
    let toml: Option<Dict> = Toml::from_str(&format!("value = {text}")).ok();
    let alone = toml
        .map(plain_dates)
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    match alone {
        Some(Value::Num(tag, number)) if render_number(number) != text => {
            Value::String(tag, text.to_owned())
        }
        Some(value) => value,
        None => Value::from(text),
    }
}
