//! `coordinator completions` and `coordinator man`: what packages install beside the binary.

use std::io;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::exit::{Failure, OK, PROBLEMS};
use super::output::{self, PrintError};

/// Prints completions for a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the manual page of `coordinator`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Writes a page for each command into this folder instead.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// The manual pages could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write manual pages to `{folder}`")]
struct ManError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        // Into memory first: clap_complete panics when its reader has left.
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut super::command(),
            "coordinator",
            &mut script,
        );
        output::line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(OK)
    }
}

impl Man {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        match &self.dir {
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(super::command())
                    .render(&mut page)
                    .map_err(PrintError::from)?;
                output::line(String::from_utf8_lossy(&page).trim_end())?;
            }
            Some(folder) => {
                clap_mangen::generate_to(super::command(), folder).map_err(|source| {
                    Failure::new(
                        PROBLEMS,
                        ManError {
                            folder: folder.clone(),
                            source,
                        },
                    )
                })?
            }
        }
        Ok(OK)
    }
}
