//! The process `coordinator`: the host itself, and the commands that operate it.
//! In: arguments, the environment, a configuration file. Out: a serving host, or one answer and an exit code.
//! Not here: any room's own work; `app` composes the rooms, `serve` runs them, `cli` talks to people and scripts.
//! Commands that need no host start no runtime; those that need one go through its HTTP API, as scripts do.
#![forbid(unsafe_code)]

mod app;
pub mod cli;
mod serve;
