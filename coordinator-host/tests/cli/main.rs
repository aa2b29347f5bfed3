//! The command line from outside: the built binary, its exit codes and what it prints.
#![forbid(unsafe_code)]

mod configuration;
mod host;
mod plugin;
mod run;
mod signing;
mod usage;
mod webhook;
