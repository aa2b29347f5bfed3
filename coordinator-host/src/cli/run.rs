//! `coordinator run PLUGIN COMMAND`: a command of a plugin, run by the host.

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{Body, Client};
use super::exit::{Failure, OK, USAGE, printable};
use super::options::{Format, Options};
use super::{given, input, output};

/// Runs a command of a plugin in the running host; without a command, lists those that the plugin has.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The instance, such as `lms`.
    plugin: String,
    /// The command.
    command: Option<String>,
    /// Its arguments, each `NAME=VALUE`. What is no text in the command's schema is read as JSON.
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    arguments: Vec<(String, String)>,
    /// All arguments at once: a JSON object, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON", conflicts_with = "arguments")]
    json: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Command>,
}

#[derive(Deserialize)]
struct Command {
    name: String,
    doc: String,
    arguments: Value,
}

/// The arguments do not make a call.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error(
        "the arguments are not a JSON object\n  (give --json '{{\"name\": value}}', or NAME=VALUE)"
    )]
    NotJson(#[source] Option<serde_json::Error>),
    #[error("`{plugin} {command}` takes no `{argument}`\n  ({hint})")]
    Unknown {
        plugin: String,
        command: String,
        argument: String,
        hint: String,
    },
    #[error("`{argument}`: expected {expected} as JSON, found {found:?}")]
    Value {
        argument: String,
        expected: String,
        found: String,
    },
    #[error("plugin `{plugin}` has no command `{command}`\n  ({hint})")]
    NoCommand {
        plugin: String,
        command: String,
        hint: String,
    },
}

impl From<ArgumentError> for Failure {
    fn from(error: ArgumentError) -> Self {
        Self::new(USAGE, error)
    }
}

impl Run {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let client = options.client()?;
        let Some(command) = &self.command else {
            return self.list(&client, options);
        };
        let body = match &self.json {
            Some(json) => object(&input::text(json)?)?,
            None if self.arguments.is_empty() => Map::new(),
            None => self.typed(&self.known(&client, command)?)?,
        };
        let body = Body::json(&Value::Object(body));
        let path = [
            "plugins",
            self.plugin.as_str(),
            "commands",
            command.as_str(),
        ];
        let reply = client.patient().post(&path, Some(body))?;
        output::line(&printable(reply.text()))?;
        Ok(OK)
    }

    fn list(&self, client: &Client, options: &Options) -> Result<u8, Failure> {
        let reply = client.get(&["plugins", &self.plugin, "commands"], &[])?;
        if options.output == Format::Json {
            output::line(reply.text())?;
            return Ok(OK);
        }
        let Answer { items } = reply.read()?;
        let rows = items.into_iter().map(|command| {
            let arguments = fields(&command.arguments)
                .map(|(name, _)| format!("{name}=\u{2026}"))
                .collect::<Vec<_>>();
            [command.name, arguments.join(" "), command.doc]
        });
        output::table(
            ["COMMAND", "ARGUMENTS", "WHAT IT DOES"],
            rows,
            "the plugin has no command",
        )?;
        Ok(OK)
    }

    fn known(&self, client: &Client, name: &str) -> Result<Command, Failure> {
        let reply = client.get(&["plugins", &self.plugin, "commands"], &[])?;
        let Answer { items } = reply.read()?;
        let names: Vec<String> = items.iter().map(|it| it.name.clone()).collect();
        let found = items.into_iter().find(|command| command.name == name);
        Ok(found.ok_or_else(|| {
            let near = coordinator_config::nearest(name, names.iter().map(String::as_str));
            ArgumentError::NoCommand {
                plugin: self.plugin.clone(),
                command: name.to_owned(),
                hint: match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("see `coordinator run {}`", self.plugin),
                },
            }
        })?)
    }

    /// Each argument as the schema of the command has it.
    fn typed(&self, command: &Command) -> Result<Map<String, Value>, ArgumentError> {
        let mut typed = Map::new();
        for (name, text) in &self.arguments {
            let mut known = fields(&command.arguments);
            let Some((_, schema)) = known.find(|(known, _)| *known == name) else {
                let names = fields(&command.arguments).map(|(name, _)| name.as_str());
                let near = coordinator_config::nearest(name, names);
                return Err(ArgumentError::Unknown {
                    plugin: self.plugin.clone(),
                    command: command.name.clone(),
                    argument: name.clone(),
                    hint: match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("see `coordinator run {}`", self.plugin),
                    },
                });
            };
            typed.insert(name.clone(), value(name, text, schema)?);
        }
        Ok(typed)
    }
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

/// Text where the schema takes text; else what it is as JSON.
fn value(name: &str, text: &str, schema: &Value) -> Result<Value, ArgumentError> {
    let kinds = given::kinds(schema);
    if kinds.contains(&"string") {
        return Ok(Value::from(text));
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // A word of an enum, or what the plugin reads from text.
        Err(_) if kinds.is_empty() => Ok(Value::from(text)),
        Err(_) => Err(ArgumentError::Value {
            argument: name.to_owned(),
            expected: kinds.join(" or "),
            found: text.to_owned(),
        }),
    }
}

fn object(text: &str) -> Result<Map<String, Value>, ArgumentError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ArgumentError::NotJson(None)),
        Err(error) => Err(ArgumentError::NotJson(Some(error))),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
