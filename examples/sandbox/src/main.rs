//! `coordinator-sandbox`: the sandbox as a program. Its first line is its URL.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use coordinator_sandbox::{Credential, Options, Sandbox};
use tokio::signal::unix::{SignalKind, signal};

/// Plays the LMS and Stripe on one port, until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The bearer token the LMS asks for.
    #[arg(
        long,
        env = "SANDBOX_LMS_TOKEN",
        hide_env_values = true,
        required_unless_present = "lms_api_key"
    )]
    lms_token: Option<String>,
    /// The `X-Edx-Api-Key` the LMS asks for, instead of a token.
    #[arg(
        long,
        env = "SANDBOX_LMS_API_KEY",
        hide_env_values = true,
        conflicts_with = "lms_token"
    )]
    lms_api_key: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let credential = match (arguments.lms_token, arguments.lms_api_key) {
        (Some(token), _) => Credential::Bearer(token),
        (None, Some(key)) => Credential::EdxApiKey(key),
        (None, None) => anyhow::bail!("give `--lms-token` or `--lms-api-key`"),
    };
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let sandbox = Sandbox::start(Options {
        listen: arguments.listen,
        credential,
    })?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", sandbox.url())?;
    out.flush()?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("failed to listen for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
