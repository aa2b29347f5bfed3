//! Options that every command takes, and what they lead to: the configuration, and the host's API.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use coordinator_config::{Config, ConfigErrors, Secret, Sources};
use url::{Host, Url};

use super::client::Client;
use super::exit::{CONFIG, Failure};
use super::input;

/// The configuration file that is read if none is named.
const USUAL_FILE: &str = "coordinator.toml";

/// Options of the whole command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The configuration file [default: coordinator.toml in this folder]
    #[arg(long, global = true, value_name = "PATH", env = "COORDINATOR_CONFIG")]
    config: Option<PathBuf>,
    /// How to print: a table for people, or JSON
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Where the host is [default: `server.listen` of the configuration]
    #[arg(long, global = true, env = "COORDINATOR_URL", value_parser = parse_url)]
    url: Option<Url>,
    /// The API key [default: the first of the local configuration, for a host on this machine]
    // Not `--key`: that is a message's ordering key, and mistaking one for the other would publish a secret.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "COORDINATOR_KEY",
        hide_env_values = true
    )]
    #[arg(value_parser = parse_key)]
    api_key: Option<Secret>,
    /// The process that started this one, and must not leave it behind: for `coordinator dev`.
    #[arg(long, global = true, hide = true, value_name = "PID")]
    pub(crate) ends_with: Option<i32>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// No configuration could be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// None is named and none lies here.
    #[error(
        "there is no `{USUAL_FILE}` in this folder\n  (name one with --config PATH, or begin with a file that says `[plugins.NAME]` and `path = \"…\"`; `coordinator config reference` explains every setting)"
    )]
    NoFile,
    /// The default address of the host is in a configuration that is wrong.
    #[error(
        "failed to find the host's address\n  (mend the configuration, or give --url and --api-key)"
    )]
    NoAddress(#[source] ConfigErrors),
    /// It is wrong.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl Options {
    /// The configuration, for commands that cannot do without a file.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        if self.config.is_none() && !Path::new(USUAL_FILE).exists() {
            return Err(ConfigError::NoFile);
        }
        Ok(self.config_or_defaults()?)
    }

    /// The configuration; without a file, that of the built-in defaults and the environment.
    pub(crate) fn config_or_defaults(&self) -> Result<Config, ConfigErrors> {
        Config::load(&Sources::of_process(self.config.clone()))
    }

    /// The file that `config` reads, as the operator would call it.
    pub(crate) fn config_file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(USUAL_FILE))
    }

    /// A client of the host's API.
    pub(crate) fn client(&self) -> Result<Client, ConfigError> {
        let given_key = self.api_key.clone().filter(|key| !key.is_empty());
        match (&self.url, given_key) {
            (Some(url), Some(key)) => Ok(Client::new(url.clone(), Some(key))),
            (Some(url), None) => {
                // A local key is for the local host: another URL must not be told it.
                let config = self.config_or_defaults().ok().filter(|_| is_local(url));
                let key = config.as_ref().and_then(first_key);
                Ok(Client::new(url.clone(), key))
            }
            (None, key) => {
                let config = self.config_or_defaults().map_err(ConfigError::NoAddress)?;
                let key = key.or_else(|| first_key(&config));
                Ok(Client::new(own_url(&config), key))
            }
        }
    }
}

fn first_key(config: &Config) -> Option<Secret> {
    config.api_keys.first().map(|key| key.secret.clone())
}

/// Where a host of this configuration answers on this machine.
fn own_url(config: &Config) -> Url {
    let mut address = config.server.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Url::parse(&format!("http://{address}")).expect("a socket address is a URL's authority")
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        _ => Err("expected `http://HOST:PORT`; for TLS, tunnel to the host's own port".to_owned()),
    }
}

/// An empty key is none: `COORDINATOR_KEY=` is how a shell unsets it for one command.
fn parse_key(text: &str) -> Result<Secret, String> {
    match text.trim() {
        "" => Ok(Secret::new("")),
        key => input::header_value(key).map(Secret::new),
    }
}
