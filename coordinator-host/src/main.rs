//! The binary `coordinator`: parse, run, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    coordinator_host::cli::run(std::env::args_os())
}
