//! What a command is given besides names: `TEXT`, `@FILE` or `-`, and points in time.

use std::io::{self, Read as _};
use std::path::PathBuf;

use coordinator_message::Timestamp;

use super::exit::{Failure, USAGE};

/// An argument's text could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// `@FILE` is not readable.
    #[error("failed to read `{path}`")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `-` is not readable, or not text.
    #[error("failed to read standard input as text")]
    Stdin(#[source] io::Error),
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::new(USAGE, error)
    }
}

/// The text itself, or the contents of `@FILE`, or with `-` all of standard input.
pub(crate) fn text(argument: &str) -> Result<String, InputError> {
    match argument {
        "-" => stdin(),
        other => argument_or_file(other),
    }
}

/// The text itself, or the contents of `@FILE`.
pub(crate) fn argument_or_file(argument: &str) -> Result<String, InputError> {
    match argument.strip_prefix('@') {
        None => Ok(argument.to_owned()),
        Some(path) => std::fs::read_to_string(path).map_err(|source| InputError::File {
            path: path.into(),
            source,
        }),
    }
}

/// All of standard input.
pub(crate) fn stdin() -> Result<String, InputError> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(InputError::Stdin)?;
    Ok(text)
}

/// A time as the API takes it: RFC 3339, or an age such as `15m` or `2d`.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(age) = humantime::parse_duration(text) {
        return Ok(Timestamp::now().before(age));
    }
    Timestamp::parse(text).map_err(|_| {
        "expected a time such as `2026-01-31T09:30:00Z`, or an age such as `15m`".into()
    })
}

/// A value that becomes a header: a line break in it would be another header.
pub(crate) fn header_value(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected visible ASCII characters, without spaces".to_owned())
    }
}
