//! `coordinator config`: what is set, by which layer, whether it is right, and what could be set.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Subcommand;
use coordinator_config::{Config as Configuration, Documented, reference};
use serde_json::json;

use super::exit::{Failure, OK, USAGE};
use super::options::{Format, Options};
use super::output;

/// Looks at the configuration; no host is needed.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Lists every setting with its value (secrets masked) and where it comes from.
    Show,
    /// Reports every mistake at once; plugins and their settings are for `coordinator check`.
    Validate,
    /// Explains every setting, with its default.
    Reference {
        /// Only what begins so, such as `journal` or `plugins.lms`.
        prefix: Option<String>,
    },
}

/// A prefix that no setting has.
#[derive(Debug, thiserror::Error)]
#[error("no setting begins with `{prefix}`\n  ({hint})")]
struct UnknownSetting {
    prefix: String,
    hint: String,
}

impl Config {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::Show => show(options),
            Self::Validate => validate(options),
            Self::Reference { prefix } => explain(prefix.as_deref().unwrap_or_default(), options),
        }
    }
}

fn show(options: &Options) -> Result<u8, Failure> {
    let config = options.config()?;
    let secrets = declared_secrets(&config);
    let entries = config.entries_masking(|key| secrets.contains(key));
    match options.output {
        Format::Table => {
            let rows = entries
                .into_iter()
                .map(|entry| [entry.key, entry.value, entry.source.to_string()]);
            output::table(["KEY", "VALUE", "SOURCE"], rows, "nothing is set")?;
        }
        Format::Json => {
            let entries = entries.iter().map(|entry| {
                json!({
                    "key": entry.key,
                    "value": entry.value,
                    "source": entry.source.to_string(),
                    "doc": entry.doc,
                })
            });
            output::json(&entries.collect::<Vec<_>>())?;
        }
    }
    Ok(OK)
}

/// The settings that plugin files declare secret. A file that cannot be read declares none; names that
/// sound secret are masked all the same.
fn declared_secrets(config: &Configuration) -> BTreeSet<String> {
    let plugins = config.plugins.values();
    plugins
        .flat_map(|plugin| {
            let fields = secret_fields(&plugin.path);
            fields
                .into_iter()
                .map(|field| format!("plugins.{}.settings.{field}", plugin.name))
        })
        .collect()
}

fn secret_fields(plugin: &Path) -> Vec<String> {
    let Ok(inspection) = coordinator_loader::inspect(plugin) else {
        return Vec::new();
    };
    let lines = inspection.section.lines.iter();
    lines
        .filter(|line| matches!(line["kind"].as_str(), Some("secret" | "secrets")))
        .filter_map(|line| line["setting"].as_str().map(str::to_owned))
        .collect()
}

fn validate(options: &Options) -> Result<u8, Failure> {
    let config = options.config()?;
    let file = options.config_file().display().to_string();
    match options.output {
        Format::Table => {
            let plugins = config.plugins.len();
            output::line(&format!("`{file}` is valid (plugins: {plugins})"))?;
        }
        Format::Json => output::json(&json!({ "valid": true, "file": file }))?,
    }
    Ok(OK)
}

fn explain(prefix: &str, options: &Options) -> Result<u8, Failure> {
    let all = reference();
    let wanted: Vec<&Documented> = all
        .iter()
        .filter(|setting| begins_with(&setting.key, prefix))
        .collect();
    if wanted.is_empty() {
        return Err(Failure::new(USAGE, unknown(prefix, &all)));
    }
    match options.output {
        Format::Table => {
            for setting in wanted {
                output::line(&explained(setting))?;
            }
        }
        Format::Json => {
            let settings = wanted.iter().map(|setting| {
                json!({
                    "key": setting.key,
                    "doc": setting.doc,
                    "default": setting.default,
                    "example": setting.example,
                })
            });
            output::json(&settings.collect::<Vec<_>>())?;
        }
    }
    Ok(OK)
}

/// Whether the key is under the prefix; a name that the operator chose stands for `NAME`.
fn begins_with(key: &str, prefix: &str) -> bool {
    let mut wanted = parts(prefix).into_iter();
    let mut known = parts(key).into_iter();
    wanted.all(|wanted| {
        known.next().is_some_and(|known| {
            matches!(known.as_str(), "NAME" | "INSTANCE.HANDLER") || known == wanted
        })
    })
}

/// The names in a key; dots within quotes are part of a name.
fn parts(key: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for (position, piece) in key.split('"').enumerate() {
        if position % 2 == 1 {
            parts.push(piece.to_owned());
        } else {
            let names = piece.split('.').filter(|name| !name.is_empty());
            parts.extend(names.map(str::to_owned));
        }
    }
    parts
}

fn explained(setting: &Documented) -> String {
    let value = match (&setting.default, &setting.example) {
        (Some(default), _) => format!("default {default}"),
        (None, Some(example)) => format!("no default; for example {example}"),
        (None, None) => "no default".to_owned(),
    };
    format!("{}\n    {}\n    {value}\n", setting.key, setting.doc)
}

fn unknown(prefix: &str, all: &[Documented]) -> UnknownSetting {
    let sections: BTreeSet<String> = all
        .iter()
        .filter_map(|setting| parts(&setting.key).into_iter().next())
        .collect();
    let keys = all.iter().map(|setting| setting.key.as_str());
    let near = coordinator_config::nearest(prefix, keys.chain(sections.iter().map(String::as_str)));
    UnknownSetting {
        prefix: prefix.to_owned(),
        hint: match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
                format!("sections: {}", sections.join(", "))
            }
        },
    }
}
