//! `coordinator plugin sign`: a signature beside a plugin file.

use std::path::PathBuf;

use clap::Args;
use coordinator_loader::{NewSignature, Protection, SigningKey};
use serde_json::json;

use super::keygen::failed;
use super::password::Password;
use crate::cli::exit::{Failure, OK};
use crate::cli::options::{Format, Options};
use crate::cli::output::{self, PrintError};

/// Signs a plugin file; runs none of it.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The `.so` file.
    file: PathBuf,
    /// The secret key: of `coordinator plugin keygen`, or of minisign.
    #[arg(long, value_name = "PATH")]
    key: PathBuf,
    #[command(flatten)]
    password: Password,
    /// A line to sign with the file, for people; the plugin's name, version and hash are signed anyway.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The signature's file [default: FILE.minisig, where the host looks for it]
    #[arg(long, value_name = "PATH")]
    signature: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let protected = SigningKey::is_protected(&self.key);
        let protection = if protected || self.password.is_given() {
            self.password.protection(options, "")?
        } else {
            Protection::None
        };
        let key = SigningKey::read(&self.key, protection).map_err(failed)?;
        let signed = key
            .sign(
                &self.file,
                self.signature.as_deref(),
                self.comment.as_deref(),
            )
            .map_err(failed)?;
        print(&signed, options)?;
        Ok(OK)
    }
}

fn print(signed: &NewSignature, options: &Options) -> Result<(), PrintError> {
    match options.output {
        Format::Json => output::json(&json!({
            "signature": signed.path,
            "plugin": signed.plugin,
            "version": signed.version,
            "sha256": signed.sha256,
            "key_id": signed.key_id,
        })),
        Format::Table => output::fields([
            (
                "plugin",
                Some(format!("{} {}", signed.plugin, signed.version)),
            ),
            ("sha256", Some(signed.sha256.clone())),
            ("signed by", Some(signed.key_id.clone())),
            ("signature", Some(signed.path.display().to_string())),
        ]),
    }
}
