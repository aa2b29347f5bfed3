//! The settings of one plugin, with their secrets fetched.

use std::fmt;

use figment::value::Value;
use serde_json::Value as Json;

use crate::Config;
use crate::error::{ConfigError, ConfigErrors};
use crate::key::Key;
use crate::layers::Source;
use crate::secret::Secret;
use crate::secret_ref::SecretPlaces;
use crate::value::guess_type;

/// What goes to a plugin. Holds exposed secrets, so it shows only names.
#[derive(Clone)]
pub struct PluginSettings(serde_json::Map<String, Json>);

impl PluginSettings {
    /// The settings with secrets in the clear, for the plugin and the check against its schema.
    #[must_use]
    pub fn expose(&self) -> Json {
        Json::Object(self.0.clone())
    }

    /// The secrets of a field: none, one, or several (rotation).
    #[must_use]
    pub fn secrets(&self, field: &str) -> Vec<Secret> {
        match self.0.get(field) {
            Some(Json::String(one)) => vec![Secret::new(one)],
            Some(Json::Array(many)) => many
                .iter()
                .filter_map(Json::as_str)
                .map(Secret::new)
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Config {
    /// The settings of the instance `name`. `secret_fields` are those that its manifest declares
    /// secret: `env:` and `file:` are followed there and nowhere else.
    ///
    /// # Errors
    /// A secret that cannot be fetched, each with its key.
    pub fn plugin_settings(
        &self,
        name: &str,
        secret_fields: &[&str],
    ) -> Result<PluginSettings, ConfigErrors> {
        let key = Key::new(["plugins", name, "settings"]);
        let mut settings = serde_json::Map::new();
        let mut errors = Vec::new();
        if let Some(Value::Dict(_, table)) = self.layers.find(key.parts()) {
            for (field, value) in table {
                let json = if secret_fields.contains(&field.as_str()) {
                    self.fetch(&key.child(field), value, &mut errors)
                } else {
                    self.json(value)
                };
                settings.insert(field.clone(), json);
            }
        }
        if errors.is_empty() {
            Ok(PluginSettings(settings))
        } else {
            Err(ConfigErrors(errors))
        }
    }

    fn fetch(&self, key: &Key, value: &Value, errors: &mut Vec<ConfigError>) -> Json {
        match value {
            // Overrides are shown, kept and backed up with the database.
            Value::String(tag, text)
                if self.layers.source(*tag) == Source::Override
                    && SecretPlaces::is_literal(text) =>
            {
                errors.push(ConfigError {
                    source: Source::Override,
                    key: key.to_string(),
                    problem: "expected \"env:VARIABLE\" or \"file:PATH\"".to_owned(),
                    found: None,
                    hint: Some(
                        "put the secret into a variable or a file and name it here".to_owned(),
                    ),
                });
                Json::Null
            }
            Value::String(_, text) => match self.secrets.resolve(text) {
                Ok(secret) => Json::String(secret.expose().to_owned()),
                Err(error) => {
                    errors.push(ConfigError {
                        source: self.layers.source(value.tag()),
                        key: key.to_string(),
                        problem: error.to_string(),
                        found: None,
                        hint: None,
                    });
                    Json::Null
                }
            },
            Value::Array(_, items) => Json::Array(
                items
                    .iter()
                    .map(|item| self.fetch(key, item, errors))
                    .collect(),
            ),
            // Of the wrong type: the schema says so, with the key.
            other => self.json(other),
        }
    }

    fn json(&self, value: &Value) -> Json {
        match value {
            Value::String(tag, text) if matches!(self.layers.source(*tag), Source::Env(_)) => {
                guess_type(text).deserialize().unwrap_or(Json::Null)
            }
            Value::Array(_, items) => {
                Json::Array(items.iter().map(|item| self.json(item)).collect())
            }
            Value::Dict(_, table) => {
                let fields = table
                    .iter()
                    .map(|(field, value)| (field.clone(), self.json(value)));
                Json::Object(fields.collect())
            }
            plain => plain.deserialize().unwrap_or(Json::Null),
        }
    }
}
