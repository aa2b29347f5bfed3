//! Runs the host: start, wait for a signal, drain.

use std::sync::Arc;
use std::time::Duration;

use coordinator_config::Config;
use coordinator_journal::Journal;
use coordinator_telemetry::LogOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::app::{App, AppError, House};
use crate::cli::exit;

/// How often to look for what other hosts have changed.
const FOLLOWING: Duration = Duration::from_secs(5);
/// How often the journal drops what it need not keep.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// The host did not start, or its server ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the operating system gives no signals")]
    Signals(#[source] std::io::Error),
    #[error("the HTTP server ended")]
    Server(#[source] std::io::Error),
}

impl ServeError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::App(error) => error.exit_code(),
            Self::Signals(_) | Self::Server(_) => exit::UNAVAILABLE,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains within `server.drain_timeout`. A second signal ends at once.
pub(crate) async fn run(config: Config) -> Result<(), ServeError> {
    let telemetry =
        coordinator_telemetry::init(&LogOptions::from(&config.log)).map_err(AppError::Telemetry)?;
    coordinator_context::refresh_log_level();
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    let patience = config.server.drain_timeout;
    let App {
        listening,
        house,
        journal,
        tails,
    } = App::start(config, telemetry).await?;
    let address = listening.address;
    tracing::info!(
        server.listen = %address,
        version = env!("CARGO_PKG_VERSION"),
        plugins = house.live().load().plugins.len(),
        handlers = house.dispatcher().handlers().len(),
        "listening on http://{address}"
    );
    let maintenance = maintain(Arc::clone(&journal));
    let following = follow(Arc::clone(&house));
    let server = listening.handle();
    let mut served = tokio::spawn(listening.server);
    loop {
        tokio::select! {
            ended = &mut served => {
                let ended = ended.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                ended.map_err(ServeError::Server)?;
                break;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = hang_up.recv() => reload(&house),
        }
    }
    tracing::info!(
        patience_s = patience.as_secs(),
        "stopping: no new requests or deliveries, what runs is finished"
    );
    tails.close();
    let drain = async {
        // Both at once, within one `drain_timeout`. What requests still publish is delivered after the next start.
        let ((), report) = tokio::join!(server.stop(true), house.drain(patience));
        maintenance.abort();
        following.abort();
        house.stop().await;
        journal.close().await;
        report
    };
    tokio::select! {
        report = drain => tracing::info!(
            finished = report.finished, cancelled = report.cancelled, unsettled = report.unsettled, "stopped"
        ),
        _ = terminate.recv() => tracing::warn!("stopped at once: what ran is delivered again after the next start"),
        _ = interrupt.recv() => tracing::warn!("stopped at once: what ran is delivered again after the next start"),
    }
    Ok(())
}

/// Reads everything again, beside what runs; requests to end are heard meanwhile.
fn reload(house: &Arc<House>) {
    let house = Arc::clone(house);
    tokio::spawn(async move {
        match house.reload().await {
            Ok(()) => tracing::info!("the configuration was read again, and is in force"),
            Err(error) => tracing::error!(
                error = %error,
                "the configuration was read again and cannot be used: everything is as it was"
            ),
        }
    });
}

/// Looks for what other hosts have stored in the database that they share with this one.
fn follow(house: Arc<House>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(FOLLOWING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match house.follow().await {
                Ok(None) => {}
                Ok(Some(revision)) => {
                    tracing::info!(
                        revision,
                        "what another host has changed is in force here, revision {revision}"
                    );
                    house.tidy().await;
                }
                // `/readyz` says so.
                Err(AppError::Store(_)) => {}
                Err(error) => tracing::error!(
                    error = %error,
                    "what another host has changed cannot be used here: everything is as it was"
                ),
            }
        }
    })
}

fn maintain(journal: Arc<dyn Journal>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(MAINTENANCE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = journal.maintain().await {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::warn!(error = %error, cause, "the journal was not tidied up; it is tried again in a minute");
            }
        }
    })
}
