//! The password of a signing key: from a file, from the terminal, or none.

use std::io::{IsTerminal as _, stderr, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use coordinator_loader::Protection;

use crate::cli::exit::{Failure, USAGE};
use crate::cli::options::{Format, Options};

/// Where the password of a key is.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// A file whose first line is the password of the key [default: it is asked for on the terminal]
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

/// No password could be had.
#[derive(Debug, thiserror::Error)]
enum PasswordError {
    #[error("failed to read the password file `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the first line of the password file `{0}` is empty")]
    Empty(PathBuf),
    #[error(
        "there is no terminal to ask for the password on\n  (name a file that holds it: `--password-file PATH`{0})"
    )]
    NoTerminal(&'static str),
}

impl Password {
    /// The password of the file, or one that is asked for; `else_hint` names what there is instead.
    pub(super) fn protection(
        &self,
        options: &Options,
        else_hint: &'static str,
    ) -> Result<Protection, Failure> {
        if let Some(path) = &self.password_file {
            return Ok(Protection::Password(first_line(path)?));
        }
        // The question goes to standard output, which belongs to the answer if that is JSON.
        let can_ask = stdin().is_terminal() && stderr().is_terminal();
        if can_ask && options.output == Format::Table {
            Ok(Protection::Ask)
        } else {
            Err(Failure::new(USAGE, PasswordError::NoTerminal(else_hint)))
        }
    }

    pub(super) fn is_given(&self) -> bool {
        self.password_file.is_some()
    }
}

fn first_line(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        let path = path.to_owned();
        Failure::new(USAGE, PasswordError::Read { path, source })
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Failure::new(USAGE, PasswordError::Empty(path.to_owned()))),
    }
}
