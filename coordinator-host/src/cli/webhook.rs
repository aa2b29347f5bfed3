//! `coordinator webhook`: the verifiers of the gateway on one request, with the clock given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use coordinator_config::Secret;
use coordinator_message::{MessageId, Timestamp};
use coordinator_webhooks::{Scheme, SchemeConfig, VerifyRequest, sign, verify};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exit::{Failure, OK, PROBLEMS, USAGE};
use super::options::{Format, Options};
use super::{input, output};

/// Signs and verifies; no host is needed.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Verifies `{"headers": {…}, "body": "…"}` from standard input: 0 and `verified`, or 1 and why not.
    Verify(Terms),
    /// Signs the body on standard input; prints what `verify` reads.
    Sign {
        #[command(flatten)]
        terms: Terms,
        /// The sender's id of the event, for schemes that send one [default: a new id].
        #[arg(long, value_parser = input::header_value)]
        id: Option<String>,
    },
}

/// How the sender signs.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// `stripe` or `standard_webhooks`.
    #[arg(long)]
    scheme: String,
    /// `{"secret": "…"}` or `{"secrets": […]}`, with `"tolerance": SECONDS` if not 300; or @FILE.
    // The whole command line has a `--config PATH`. This one hides it: same id, and so the same Rust type.
    #[arg(long, value_name = "JSON")]
    config: PathBuf,
    /// The time to judge by, in Unix seconds [default: now].
    #[arg(long, value_name = "UNIX")]
    now: Option<i64>,
}

/// What a scheme needs to know. No `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    secret: Option<String>,
    #[serde(default)]
    secrets: Vec<String>,
    tolerance: Option<u64>,
}

/// A request as it goes in and out.
#[derive(Serialize, Deserialize)]
struct Request {
    headers: BTreeMap<String, String>,
    body: String,
}

/// An argument or the input has another shape. What was found is not repeated: it may be a secret.
#[derive(Debug, thiserror::Error)]
enum ShapeError {
    #[error(
        "`--config` is not the JSON that `{scheme}` needs, at column {column}\n  (expected {{\"secret\": \"…\"}}, or \"secrets\" with a list, and maybe \"tolerance\" in seconds)"
    )]
    Config { scheme: Scheme, column: usize },
    #[error("`--config` is not text")]
    NotText,
    #[error("`--config` names no secret\n  (expected {{\"secret\": \"…\"}})")]
    NoSecret,
    #[error(
        "standard input is not a request, at line {line} column {column}\n  (expected {{\"headers\": {{\"name\": \"value\"}}, \"body\": \"…\"}})"
    )]
    Request { line: usize, column: usize },
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        Self::new(USAGE, error)
    }
}

impl Webhook {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::Verify(terms) => terms.verify(options),
            Self::Sign { terms, id } => terms.sign(id.as_deref()),
        }
    }
}

impl Terms {
    fn scheme(&self) -> Result<Scheme, Failure> {
        Scheme::parse(&self.scheme).map_err(|error| Failure::new(USAGE, error))
    }

    fn now(&self) -> i64 {
        self.now
            .unwrap_or_else(|| Timestamp::now().as_millis() / 1_000)
    }

    fn verify(&self, options: &Options) -> Result<u8, Failure> {
        let scheme = self.scheme()?;
        let config = read_config(scheme, &self.config)?;
        let request: Request =
            serde_json::from_str(&input::stdin()?).map_err(|error| ShapeError::Request {
                line: error.line(),
                column: error.column(),
            })?;
        let headers: BTreeMap<String, String> = request
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let verified = verify(
            scheme,
            &config,
            &VerifyRequest {
                headers: &|name| headers.get(name).map(String::as_str),
                body: request.body.as_bytes(),
                now: self.now(),
            },
        );
        let verified = verified.map_err(|error| Failure::new(PROBLEMS, error))?;
        match options.output {
            Format::Json => output::json(&json!({
                "verified": true,
                "scheme": verified.scheme.name(),
                "id": verified.id,
            }))?,
            Format::Table => {
                let id = verified.id.as_deref().unwrap_or("without an id");
                output::line(&format!("verified {} {id}", verified.scheme))?;
            }
        }
        Ok(OK)
    }

    fn sign(&self, id: Option<&str>) -> Result<u8, Failure> {
        let scheme = self.scheme()?;
        let config = read_config(scheme, &self.config)?;
        let secret = config.secrets.first().ok_or(ShapeError::NoSecret)?;
        let body = input::stdin()?;
        let new_id = || format!("msg_{}", MessageId::new(Timestamp::now()));
        let id = id.map_or_else(new_id, str::to_owned);
        let headers = sign(scheme, secret, &id, self.now(), body.as_bytes())
            .map_err(|error| Failure::new(USAGE, error))?;
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        output::json(&Request { headers, body })?;
        Ok(OK)
    }
}

fn read_config(scheme: Scheme, argument: &Path) -> Result<SchemeConfig, Failure> {
    let argument = argument.to_str().ok_or(ShapeError::NotText)?;
    let text = input::argument_or_file(argument)?;
    let given: Given = serde_json::from_str(&text).map_err(|error| ShapeError::Config {
        scheme,
        column: error.column(),
    })?;
    let secrets = given.secret.into_iter().chain(given.secrets);
    Ok(SchemeConfig {
        secrets: secrets.map(Secret::new).collect(),
        tolerance: given
            .tolerance
            .map_or(SchemeConfig::DEFAULT_TOLERANCE, Duration::from_secs),
    })
}
