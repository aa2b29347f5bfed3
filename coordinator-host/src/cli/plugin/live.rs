//! `coordinator plugin install|upgrade|bring|rollback|enable|disable`: changes of the running host, through its API.

use std::path::Path;

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::client::{Body, Reply};
use crate::cli::exit::{Failure, OK, USAGE};
use crate::cli::given::pair;
use crate::cli::options::{Format, Options};
use crate::cli::{confirm, output};

/// Installs a plugin on the running host.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// A plugin file, a folder with one in it, or a `file://` URL, on the host's machine.
    source: String,
    /// Instance name; the plugin's own if not given: `lms` for `coordinator-lms`.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Path under which its routes are served; `/NAME` if not given.
    #[arg(long)]
    mount: Option<String>,
    /// A setting; a secret as `env:VARIABLE` or `file:PATH`. May be repeated.
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, Value)>,
    /// A host that it may call beside those of its settings. May be repeated.
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
    /// Why, for the audit log.
    #[arg(long)]
    comment: Option<String>,
}

/// Gives a plugin another file.
#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// Instance name.
    name: String,
    /// A plugin file, a folder with one in it, or a `file://` URL, on the host's machine.
    source: String,
    /// A setting that comes with it. May be repeated.
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, Value)>,
    /// Why, for the audit log.
    #[arg(long)]
    comment: Option<String>,
}

/// Gives this host the file of a plugin that was installed on another one.
#[derive(Debug, Args)]
pub(crate) struct Bring {
    /// Instance name.
    name: String,
    /// The plugin file that was installed, a folder with it, or a `file://` URL, on the host's machine.
    source: String,
    /// Why, for the audit log.
    #[arg(long)]
    comment: Option<String>,
}

/// One plugin.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Instance name.
    pub(super) name: String,
    /// Why, for the audit log.
    #[arg(long)]
    pub(super) comment: Option<String>,
    /// Without asking.
    #[arg(long)]
    pub(super) yes: bool,
}

/// What a change answers.
#[derive(Deserialize)]
struct Changed {
    name: String,
    revision: u64,
}

/// A path that cannot be given to the host.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not there\n  (give a plugin file, a folder with one in it, or a `file://` URL)")]
struct NoSource(String);

impl Install {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let body = json!({
            "source": absolute(&self.source)?, "name": self.name, "mount": self.mount,
            "settings": table(&self.settings), "allow_hosts": self.allow_hosts,
            "comment": self.comment,
        });
        let client = options.client()?.patient();
        let reply = client.post(&["plugins"], Some(Body::json(&body)))?;
        told(&reply, "installed", options)
    }
}

impl Upgrade {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let body = json!({
            "source": absolute(&self.source)?, "settings": table(&self.settings),
            "comment": self.comment,
        });
        let client = options.client()?.patient();
        let path = ["plugins", &self.name, "upgrade"];
        let reply = client.post(&path, Some(Body::json(&body)))?;
        told(&reply, "upgraded", options)
    }
}

impl Named {
    pub(crate) fn run(&self, verb: &str, done: &str, options: &Options) -> Result<u8, Failure> {
        let question = match verb {
            "disable" => format!("Switch `{}` off? Its routes answer 503 then.", self.name),
            "rollback" => format!("Give `{}` its earlier version back?", self.name),
            _ => String::new(),
        };
        if !question.is_empty() && !confirm::confirmed(&question, self.yes)? {
            return Ok(OK);
        }
        let body = json!({"comment": self.comment});
        let client = options.client()?.patient();
        let reply = client.post(&["plugins", &self.name, verb], Some(Body::json(&body)))?;
        told(&reply, done, options)
    }
}

impl Bring {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let body = json!({"source": absolute(&self.source)?, "comment": self.comment});
        let client = options.client()?.patient();
        let path = ["plugins", &self.name, "bring"];
        let reply = client.post(&path, Some(Body::json(&body)))?;
        told(&reply, "brought the file of", options)
    }
}

fn told(reply: &Reply, done: &str, options: &Options) -> Result<u8, Failure> {
    match options.output {
        Format::Json => output::line(reply.text())?,
        Format::Table => {
            let Changed { name, revision } = reply.read()?;
            output::line(&format!("{done} `{name}`, revision {revision}"))?;
        }
    }
    Ok(OK)
}

/// The host runs in another folder.
fn absolute(source: &str) -> Result<String, Failure> {
    if source.contains("://") {
        return Ok(source.to_owned());
    }
    match Path::new(source).canonicalize() {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(_) => Err(Failure::new(USAGE, NoSource(source.to_owned()))),
    }
}

fn table(settings: &[(String, Value)]) -> Value {
    Value::Object(settings.iter().cloned().collect::<Map<_, _>>())
}
