//! How a command ends: the documented exit codes, and the one place where errors are printed.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use super::output::PrintError;

/// Done.
pub const OK: u8 = 0;
/// A check found problems, or the host refused what was asked.
pub const PROBLEMS: u8 = 1;
/// The arguments are wrong (`EX_USAGE` of `sysexits.h`).
pub const USAGE: u8 = 64;
/// A service, or the host itself, is unreachable (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// A plugin could not be loaded (`EX_SOFTWARE`).
pub const PLUGIN: u8 = 70;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIG: u8 = 78;

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
  0   done
  1   a check found problems, or the host refused what was asked
  64  the arguments are wrong
  69  a service is unreachable
  70  a plugin could not be loaded
  78  the configuration is wrong";

/// Why a command ended early.
pub(crate) struct Failure {
    code: u8,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn new(code: u8, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            code,
            error: error.into(),
        }
    }

    /// Prints `error: …`, each cause once, hints last. A reader that left early is no error.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::from(OK);
        }
        // Nobody is left to tell if standard error is gone as well.
        let _ = writeln!(io::stderr().lock(), "error: {}", chain(&*self.error));
        ExitCode::from(self.code)
    }

    fn is_closed_pipe(&self) -> bool {
        self.error
            .downcast_ref::<PrintError>()
            .is_some_and(PrintError::is_closed_pipe)
    }
}

/// The error and its causes, a cause that repeats the line above left out, hints moved to the end.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut said, mut hints) = (String::new(), Vec::new());
    let mut last = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        next = error.source();
        if text == last {
            continue;
        }
        let (body, hint) = split_hint(&text);
        hints.extend(hint.map(str::to_owned));
        if !said.is_empty() {
            said.push_str("\n  caused by: ");
        }
        said.push_str(body);
        last = text;
    }
    for hint in hints {
        said.push('\n');
        said.push_str(&hint);
    }
    printable(&said)
}

/// Takes the last line off if it is a hint: two spaces, parentheses.
fn split_hint(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('\n') {
        Some((body, hint)) if hint.starts_with("  (") && hint.ends_with(')') => (body, Some(hint)),
        _ => (text, None),
    }
}

/// Text from elsewhere must not move the cursor or recolour a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Help and version are answers; everything else that the parser says is wrong usage.
pub(crate) fn of_parser(answer: &clap::Error) -> ExitCode {
    // As above: a closed standard error leaves nobody to tell.
    let _ = answer.print();
    ExitCode::from(if answer.use_stderr() { USAGE } else { OK })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read `a`\n  (write it first)")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_cause_is_printed_once_and_the_hint_comes_last() {
        let error = Outer(io::Error::new(io::ErrorKind::NotFound, "no such file"));
        assert_eq!(
            chain(&error),
            "failed to read `a`\n  caused by: no such file\n  (write it first)"
        );
    }

    #[test]
    fn text_from_elsewhere_cannot_drive_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\n");
    }
}
