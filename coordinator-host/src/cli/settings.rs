//! `coordinator settings`: the settings of a plugin on the running host, and changing them.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value as Json;

use super::exit::{Failure, OK};
use super::given::typed;
use super::options::{Format, Options};
use super::output;
use super::overrides::{Back, Recent, Values};

/// Shows and changes settings of a plugin: a new instance starts with them, and takes the place of the old one.
#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Shows each setting, its value and where it comes from; secrets are not shown.
    Show {
        /// Instance name.
        plugin: String,
    },
    /// Sets values: `base_url=https://lms.example.org token=env:LMS_TOKEN`. Where the plugin takes text, a value is text as
    /// it stands; else it is JSON.
    Set {
        /// Instance name.
        plugin: String,
        #[command(flatten)]
        set: Values,
    },
    /// Lists what was set, newest first.
    History {
        /// Instance name.
        plugin: String,
        #[command(flatten)]
        history: Recent,
    },
    /// Sets everything as it was at a revision.
    Revert {
        /// Instance name.
        plugin: String,
        #[command(flatten)]
        revert: Back,
    },
}

#[derive(Deserialize)]
struct Shown {
    settings: Vec<Setting>,
    /// Null of a plugin that is not loaded.
    #[serde(default)]
    schema: Json,
}

#[derive(Deserialize)]
struct Setting {
    name: String,
    doc: String,
    required: bool,
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Value {
    value: String,
    source: String,
}

impl Settings {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::Show { plugin } => show(plugin, options),
            Self::Set {
                plugin,
                set: values,
            } => set(plugin, values, options),
            Self::History { plugin, history } => history.run(&["settings", plugin], options),
            Self::Revert { plugin, revert } => revert.run(&["settings", plugin], options),
        }
    }
}

fn set(plugin: &str, values: &Values, options: &Options) -> Result<u8, Failure> {
    let path = ["settings", plugin];
    let Shown { schema, .. } = options.client()?.get(&path, &[])?.read()?;
    let prefix = format!("plugins.{plugin}.settings.");
    let read = |key: &str, words: &str| {
        let name = key.strip_prefix(&prefix).unwrap_or(key);
        typed(&schema, name, words)
    };
    values.run(&path, ToOwned::to_owned, read, options)
}

fn show(plugin: &str, options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["settings", plugin], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Shown { settings, .. } = reply.read()?;
    let rows = settings.into_iter().map(|setting| {
        let (mut value, mut source) = (String::new(), String::new());
        for set in setting.values {
            let and = if value.is_empty() { "" } else { ", " };
            value.push_str(&format!("{and}{}", set.value));
            source = set.source;
        }
        let required = if setting.required { "yes" } else { "" };
        [
            setting.name,
            value,
            source,
            required.to_owned(),
            setting.doc,
        ]
    });
    output::table(
        ["SETTING", "VALUE", "FROM", "REQUIRED", "WHAT IT IS"],
        rows,
        "the plugin has no settings, or is not loaded",
    )?;
    Ok(OK)
}
