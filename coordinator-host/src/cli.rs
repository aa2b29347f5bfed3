//! The command line: what there is to say to `coordinator`, and which file answers it.

mod audit;
mod bulk;
mod check;
mod client;
mod config;
mod confirm;
mod dead_letters;
mod dev;
pub mod exit;
mod flag;
mod given;
mod graph;
mod handlers;
mod input;
mod looked_at;
mod manual;
mod messages;
mod migrate;
mod migrate_journal;
mod options;
mod output;
mod overrides;
mod parent;
mod pipelines;
mod plugin;
mod progress;
mod run;
mod schedules;
mod serve;
mod settings;
mod webhook;
mod wiring;

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
    /// Draws the wiring: types, handlers, pipelines, routes and schedules
    Graph(graph::Draw),
    /// Shows, checks and explains the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Builds a plugin, runs a host with it, and takes up each change as it is saved
    Dev(dev::Dev),
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
    /// Lists pipelines, and runs those that are public
    #[command(subcommand)]
    Pipelines(pipelines::Pipelines),
    /// Lists flags of plugins, and switches them
    #[command(subcommand)]
    Flag(flag::Flag),
    /// Runs a command of a plugin in the running host
    Run(run::Run),
    /// Shows and changes what is bound to what on the running host
    #[command(subcommand)]
    Wiring(wiring::Wiring),
    /// Shows and changes settings of plugins on the running host
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Lists schedules
    #[command(subcommand)]
    Schedules(schedules::Schedules),
    /// Lists and verifies what operators did
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Brings the database up to date
    Migrate(migrate::Migrate),
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
    if let Some(parent) = options.ends_with {
        parent::end_with(parent)?;
    }
    match command {
        Command::Serve => serve::run(&options),
        Command::Check(check) => check.run(&options),
        Command::Graph(graph) => graph.run(&options),
        Command::Config(config) => config.run(&options),
        Command::Dev(dev) => dev.run(),
        Command::Plugin(plugin) => plugin.run(&options),
        Command::Messages(messages) => messages.run(&options),
        Command::DeadLetters(dead_letters) => dead_letters.run(&options),
        Command::Handlers(handlers) => handlers.run(&options),
        Command::Pipelines(pipelines) => pipelines.run(&options),
        Command::Flag(flag) => flag.run(&options),
        Command::Run(run) => run.run(&options),
        Command::Wiring(wiring) => wiring.run(&options),
        Command::Settings(settings) => settings.run(&options),
        Command::Schedules(schedules) => schedules.run(&options),
        Command::Audit(audit) => audit.run(&options),
        Command::Migrate(migrate) => migrate.run(&options),
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
