//! `coordinator plugin keygen`: a key pair that signs plugin files.

use std::path::PathBuf;

use clap::Args;
use coordinator_loader::{NewKey, Protection, SigningError, SigningKey};
use serde_json::json;

use super::password::Password;
use crate::cli::exit::{Failure, OK, PROBLEMS, USAGE};
use crate::cli::options::{Format, Options};
use crate::cli::output::{self, PrintError};

/// Makes a key pair that signs plugin files, in minisign's form.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The folder to write `plugin-signing.key` and `plugin-signing.pub` to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    password: Password,
    /// Protects the key with nothing but the permissions of its file.
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
}

impl Keygen {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let protection = if self.no_password {
            Protection::None
        } else {
            self.password
                .protection(options, ", or do without one: `--no-password`")?
        };
        let made = SigningKey::generate(&self.out, protection).map_err(failed)?;
        print(&made, options)?;
        Ok(OK)
    }
}

fn print(made: &NewKey, options: &Options) -> Result<(), PrintError> {
    match options.output {
        Format::Json => output::json(&json!({
            "id": made.id,
            "key": made.key,
            "public": made.public,
            "secret": made.secret,
        })),
        Format::Table => {
            output::fields([
                ("id", Some(made.id.clone())),
                ("public key", Some(made.key.clone())),
                ("public file", Some(made.public.display().to_string())),
                ("secret file", Some(made.secret.display().to_string())),
            ])?;
            output::note(
                "keep the secret file where hosts cannot read it; a host that is to load what it signs needs\n\
                 the public key in its configuration: `[trust]`, `policy = \"signed\"`, `keys = [\"RW…\"]`",
            )
        }
    }
}

pub(super) fn failed(error: SigningError) -> Failure {
    let code = match &error {
        SigningError::Exists(_)
        | SigningError::NotAKey(_)
        | SigningError::Protected(_)
        | SigningError::WrongPassword(_)
        | SigningError::Comment => USAGE,
        SigningError::Plugin(_) => crate::cli::exit::PLUGIN,
        SigningError::Io { .. } | SigningError::Minisign { .. } => PROBLEMS,
    };
    Failure::new(code, error)
}
