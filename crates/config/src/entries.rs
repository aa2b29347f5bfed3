//! The configuration as `config show` lists it.

use figment::value::{Dict, Value};

use crate::Config;
use crate::key::Key;
use crate::layers::Source;
use crate::reference::reference;
use crate::secret_ref::SecretPlaces;
use crate::value::render;

/// One setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub key: String,
    /// Its value as TOML; `Secret(…)` in place of a secret.
    pub value: String,
    /// The layer that decided.
    pub source: Source,
    /// What it means; empty for settings of plugins, whose manifests know.
    pub doc: String,
}

impl Config {
    /// Every setting that has a value, by key. Settings of plugins are masked if their name sounds
    /// secret, for without the plugin's manifest nothing else tells.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries_masking(|_| false)
    }

    /// The same, masking the keys that `is_secret` knows of as well: `plugins.lms.settings.pin`.
    #[must_use]
    pub fn entries_masking(&self, is_secret: impl Fn(&str) -> bool) -> Vec<Entry> {
        let mut leaves = Vec::new();
        collect(&Key::default(), self.layers.root(), &mut leaves);
        let docs = reference();
        leaves
            .into_iter()
            .map(|(key, value)| {
                let documented = key.documented().to_string();
                let doc = docs.iter().find(|doc| doc.key == documented);
                let name = key.to_string();
                let secret = is_secret(&name)
                    || (doc.is_none() || name.starts_with("api.keys.")) && key.sounds_secret();
                Entry {
                    value: if secret {
                        masked(value)
                    } else {
                        without_credentials(render(value))
                    },
                    source: self.layers.source(value.tag()),
                    doc: doc.map(|doc| doc.doc.clone()).unwrap_or_default(),
                    key: name,
                }
            })
            .collect()
    }
}

fn collect<'a>(key: &Key, table: &'a Dict, leaves: &mut Vec<(Key, &'a Value)>) {
    for (name, value) in table {
        let key = key.child(name);
        match value {
            Value::Dict(_, inner) => collect(&key, inner, leaves),
            leaf => leaves.push((key, leaf)),
        }
    }
}

/// A reference says where the secret is, not what it is.
fn masked(value: &Value) -> String {
    match value {
        Value::String(_, text) if !SecretPlaces::is_literal(text) => render(value),
        Value::Array(_, items) => {
            format!(
                "[{}]",
                items.iter().map(masked).collect::<Vec<_>>().join(", ")
            )
        }
        _ => "Secret(…)".to_owned(),
    }
}

/// Hides the user and password of a URL, which no naming rule would find.
fn without_credentials(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text;
    };
    let authority = rest.split(['/', '?', '#', '"']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((credentials, _)) => format!("{scheme}://…{}", &rest[credentials.len()..]),
        None => text,
    }
}
