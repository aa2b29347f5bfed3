//! The command line: what there is to say to `coordinator`, and which file answers it.

mod bulk;
mod check;
mod client;
mod config;
mod confirm;
mod dead_letters;
pub mod exit;
mod handlers;
mod input;
mod manual;
mod messages;
mod migrate_journal;
mod options;
mod output;
mod plugin;
mod progress;
mod schedules;
mod serve;
mod webhook;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Failure;
use options::Options;

/// A durable message broker for commerce: webhooks and events in, plugins deliver them, nothing is lost.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, propagate_version = true, after_help = exit::HELP)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the host until it is told to stop (SIGTERM or Ctrl-C)
    Serve,
    /// Loads the configuration and the plugins as `serve` would, and says what is wrong
    Check(check::Check),
    /// Shows, checks and explains the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Lists, inspects, locks and begins plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Publishes, finds, follows, replays and discards messages
    #[command(subcommand)]
    Messages(messages::Messages),
    /// Finds, replays and discards deliveries that were given up
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Lists, pauses and resumes handlers, and lets them skip
    #[command(subcommand)]
    Handlers(handlers::Handlers),
    /// Lists schedules
    #[command(subcommand)]
    Schedules(schedules::Schedules),
    /// Moves the journal to another engine, while no host runs
    MigrateJournal(migrate_journal::MigrateJournal),
    /// Signs and verifies webhooks, without a host
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Prints completions for a shell
    Completions(manual::Completions),
    /// Prints the manual page, or writes those of all commands
    Man(manual::Man),
}

/// Runs the command that `arguments` (the program's name first) ask for; answers its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) => return exit::of_parser(&answer),
    };
    match dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: Arguments) -> Result<u8, Failure> {
    let Arguments { options, command } = arguments;
    match command {
        Command::Serve => serve::run(&options),
        Command::Check(check) => check.run(&options),
        Command::Config(config) => config.run(&options),
        Command::Plugin(plugin) => plugin.run(&options),
        Command::Messages(messages) => messages.run(&options),
        Command::DeadLetters(dead_letters) => dead_letters.run(&options),
        Command::Handlers(handlers) => handlers.run(&options),
        Command::Schedules(schedules) => schedules.run(&options),
        Command::MigrateJournal(migrate) => migrate.run(&options),
        Command::Webhook(webhook) => webhook.run(&options),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

/// The whole command line, for completions and manual pages.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}
