//! Asks a person before something that cannot be taken back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::exit::{Failure, USAGE};
use super::output::{self, PrintError};

/// There is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("nobody is here to confirm it\n  (add --yes)")]
struct Unconfirmed;

/// Whether to go on: `yes` was given, or a person says so. Says what a no means.
pub(super) fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        return Err(Failure::new(USAGE, Unconfirmed));
    }
    let mut asking = io::stderr().lock();
    write!(asking, "{question} [y/N] ").map_err(PrintError::from)?;
    asking.flush().map_err(PrintError::from)?;
    drop(asking);
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(PrintError::from)?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        output::note("nothing was done")?;
    }
    Ok(agreed)
}
