//! `coordinator plugin verify`: every check that the host makes before it loads a file, and what each says.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use coordinator_config::Config;
use coordinator_loader::{
    Check, Examination, Keyring, LoadRequest, Loader, Trust, TrustedKey, Version,
};
use serde_json::{Value, json};

use crate::cli::exit::{CONFIG, Failure, OK, PLUGIN, USAGE};
use crate::cli::options::{ConfigError, Format, Options};
use crate::cli::output::{self, PrintError};

/// Checks a plugin file as the host would before it loads it; runs none of it.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The `.so` file.
    file: PathBuf,
    /// The policy to check it under [default: `trust.policy` of the configuration; `signed` if a key is given]
    #[arg(long, value_enum)]
    policy: Option<Policy>,
    /// A public key to trust, instead of those of the configuration: `RW…`, or the path of a `.pub` file.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// The signature's file [default: FILE.minisig]
    #[arg(long, value_name = "PATH")]
    signature: Option<PathBuf>,
    /// The highest version that has run: under `signed`, no older one is loaded.
    #[arg(long, value_name = "VERSION")]
    floor: Option<Version>,
}

/// As `trust.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Every file.
    Any,
    /// What the lock file names.
    Locked,
    /// What a trusted key has signed.
    Signed,
}

/// No policy could be made of the arguments.
#[derive(Debug, thiserror::Error)]
enum PolicyError {
    #[error(
        "there is no key to verify signatures with\n  (give one with `--key`, or add it to `keys` in `[trust]`)"
    )]
    NoKey,
    #[error("keys are for the policy `signed`\n  (leave out `--key`, or say `--policy signed`)")]
    KeyWithoutUse,
    #[error("failed to read the public key `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Key(#[from] coordinator_loader::KeyError),
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(USAGE, error)
    }
}

impl Verify {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let trust = self.trust(options)?;
        let policy = trust.name();
        let mut request = LoadRequest::new(&self.file);
        if let Some(path) = &self.signature {
            request = request.signature(path);
        }
        if let Some(floor) = &self.floor {
            request = request.floor(floor.clone());
        }
        let examined = Loader::new(trust)
            .examine(request)
            .map_err(|refusal| Failure::new(PLUGIN, refusal))?;
        let refused = examined
            .checks()
            .iter()
            .any(|check| check.outcome().is_err());
        match options.output {
            Format::Json => print_json(&examined, policy, refused)?,
            Format::Table => print(&examined, policy, refused)?,
        }
        Ok(if refused { PLUGIN } else { OK })
    }

    fn trust(&self, options: &Options) -> Result<Trust, Failure> {
        let given = if self.key.is_empty() {
            None
        } else {
            Some(Policy::Signed)
        };
        match self.policy.or(given) {
            Some(Policy::Any | Policy::Locked) if given.is_some() => {
                Err(PolicyError::KeyWithoutUse.into())
            }
            Some(Policy::Any) => Ok(Trust::Any),
            Some(Policy::Locked) => Ok(Trust::Locked(config(options)?.trust.lock_file)),
            Some(Policy::Signed) if given.is_some() => {
                let keys: Result<Keyring, PolicyError> =
                    self.key.iter().map(|key| read_key(key)).collect();
                Ok(Trust::Signed(keys?))
            }
            Some(Policy::Signed) => {
                let config = config(options)?;
                if config.trust.keys.is_empty() {
                    return Err(PolicyError::NoKey.into());
                }
                Ok(Trust::Signed(
                    crate::app::keys(&config).map_err(|error| Failure::new(CONFIG, error))?,
                ))
            }
            None => crate::app::trust(&config(options)?)
                .map_err(|error| Failure::new(error.exit_code(), error)),
        }
    }
}

fn config(options: &Options) -> Result<Config, Failure> {
    Ok(options.config_or_defaults().map_err(ConfigError::from)?)
}

/// A key, or the file of one: its second line is the key.
fn read_key(text: &str) -> Result<TrustedKey, PolicyError> {
    if let Ok(key) = TrustedKey::new(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    let read = std::fs::read_to_string(path).map_err(|source| PolicyError::Read {
        path: path.to_owned(),
        source,
    })?;
    let line = read.lines().nth(1).unwrap_or_default();
    Ok(TrustedKey::new(line)?)
}

fn print(examined: &Examination, policy: &str, refused: bool) -> Result<(), PrintError> {
    output::fields([
        ("file", Some(examined.path().display().to_string())),
        ("size", Some(format!("{} bytes", examined.size()))),
        ("sha256", Some(examined.sha256().to_owned())),
        ("policy", Some(policy.to_owned())),
        (
            "signed by",
            examined.signed().map(|signed| signed.key.clone()),
        ),
        (
            "comment",
            examined
                .signed()
                .map(|signed| signed.comment.replace('\t', " ")),
        ),
    ])?;
    output::heading("checks")?;
    let rows = examined.checks().iter().map(|check| {
        let (verdict, what) = match check.outcome() {
            Ok(found) => ("ok", found),
            Err((reason, _)) => ("refused", reason),
        };
        [check.name().to_owned(), verdict.to_owned(), what.to_owned()]
    });
    output::table(["CHECK", "VERDICT", "WHAT"], rows, "")?;
    for (_, hint) in refusals(examined) {
        output::note(&format!("  ({hint})"))?;
    }
    output::line(if refused {
        "\nthe host would refuse it"
    } else {
        "\nthe host would load it"
    })
}

fn print_json(examined: &Examination, policy: &str, refused: bool) -> Result<(), PrintError> {
    let signed = examined
        .signed()
        .map(|signed| json!({ "key": signed.key, "name": signed.name, "comment": signed.comment }));
    output::json(&json!({
        "path": examined.path(),
        "size": examined.size(),
        "sha256": examined.sha256(),
        "policy": policy,
        "verdict": if refused { "refused" } else { "accepted" },
        "plugin": examined.section().map(|section| &section.head),
        "signature": signed,
        "checks": examined.checks().iter().map(as_json).collect::<Vec<_>>(),
    }))
}

fn as_json(check: &Check) -> Value {
    match check.outcome() {
        Ok(found) => json!({ "check": check.name(), "ok": true, "found": found }),
        Err((reason, hint)) => {
            json!({ "check": check.name(), "ok": false, "reason": reason, "hint": hint })
        }
    }
}

fn refusals(examined: &Examination) -> impl Iterator<Item = (&str, &str)> {
    let checks = examined.checks().iter();
    checks.filter_map(|check| check.outcome().err())
}
