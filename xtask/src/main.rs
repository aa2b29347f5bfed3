//! `cargo xtask`: the commands of this repository.
//! In: the name of a command. Out: each step as it runs, how long it took, and an exit code.
//! Not here: anything the product needs at run time; the demo drives host and sandbox from outside.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a command's output is for the person who gave it"
)]

mod bench;
mod check;
mod demo;
mod host;
mod http;
mod interrupt;
mod process;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use interrupt::{Interrupt, Interrupted};
use steps::Steps;
use workspace::Workspace;

const COMMANDS: &str = "\
cargo xtask check          formatting, clippy and documentation, warnings denied
cargo xtask test           builds the plugin files that the tests load, then runs every test
cargo xtask demo [--once]  a payment becomes an enrolment, told line by line; serves until Ctrl-C
                           (--once: ends when all is acknowledged, or says what is missing)
cargo xtask bench [delivery]  start, memory, boundary and delivery against their targets, as tables
cargo xtask ci             check, test and demo --once, as the CI runs them";

/// Wrong arguments, after `sysexits.h`.
const EX_USAGE: u8 = 64;
/// Ended by Ctrl-C, as shells number it.
const EX_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let command: fn(&Workspace, &Interrupt) -> Result<()> = match arguments[..] {
        [] => {
            println!("{COMMANDS}");
            return ExitCode::SUCCESS;
        }
        ["check"] => |workspace, _| check::check(&mut Steps::new(workspace)),
        ["test"] => |workspace, _| test::test(&mut Steps::new(workspace)),
        ["demo"] => |workspace, interrupt| demo::demo(workspace, interrupt, demo::Ending::CtrlC),
        ["demo", "--once"] => {
            |workspace, interrupt| demo::demo(workspace, interrupt, demo::Ending::AllAcked)
        }
        ["bench"] => |workspace, interrupt| bench::bench(workspace, interrupt, bench::Part::All),
        ["bench", "delivery"] => {
            |workspace, interrupt| bench::bench(workspace, interrupt, bench::Part::Delivery)
        }
        ["ci"] => ci,
        _ => {
            eprintln!(
                "error: there is no command `{}`\n\n{COMMANDS}",
                arguments.join(" ")
            );
            return ExitCode::from(EX_USAGE);
        }
    };
    let ended = Interrupt::listen().and_then(|interrupt| command(&Workspace::find()?, &interrupt));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(EX_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn ci(workspace: &Workspace, interrupt: &Interrupt) -> Result<()> {
    let mut steps = Steps::new(workspace);
    check::check(&mut steps)?;
    test::test(&mut steps)?;
    steps.time("demo --once", || {
        demo::demo(workspace, interrupt, demo::Ending::AllAcked)
    })?;
    steps.summary();
    Ok(())
}
