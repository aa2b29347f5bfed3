//! Sets up the process's subscriber and recorder.

use std::io::{self, IsTerminal};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::line::Line;
use crate::metric;
use crate::redact::Redactor;

/// Histograms keep every sample until they are read or tidied up.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// The form of a line.
    pub format: LogFormat,
    /// Levels by target, such as `info,coordinator_loader=debug`. `RUST_LOG`, if set, wins.
    pub filter: String,
    /// Fields to hide beside the built-in ones.
    pub redact_fields: Vec<String>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person; coloured on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Logging or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not one.
    #[error(
        "log filter `{filter}` is not valid\n  (levels by target: info,coordinator_loader=debug)"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is a subscriber in this process already.
    #[error("logging is already set up")]
    Subscriber(#[source] tracing_subscriber::util::TryInitError),
    /// There is a recorder in this process already, or the operating system gave no thread.
    #[error("metrics cannot be set up")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps the metrics tidy as long as it lives.
#[derive(Debug)]
pub struct Guard {
    metrics: PrometheusHandle,
    _tidying: mpsc::Sender<()>,
}

impl Guard {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics.render()
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            filter: "info".to_owned(),
            redact_fields: Vec::new(),
        }
    }
}

impl From<&coordinator_config::Log> for LogOptions {
    fn from(log: &coordinator_config::Log) -> Self {
        Self {
            format: match log.format {
                coordinator_config::LogFormat::Human => LogFormat::Human,
                coordinator_config::LogFormat::Json => LogFormat::Json,
            },
            filter: log.filter.clone(),
            redact_fields: log.redact_fields.clone(),
        }
    }
}

/// Sends the process's events to standard error and starts to record metrics. Once per process.
///
/// # Errors
/// When the filter is not valid, or something else in this process has done so before.
pub fn init(options: &LogOptions) -> Result<Guard, InitError> {
    let said = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    let options = match said {
        Some(filter) => LogOptions {
            filter,
            ..options.clone()
        },
        None => options.clone(),
    };
    let colour = io::stderr().is_terminal();
    subscriber(&options, colour, io::stderr)?
        .try_init()
        .map_err(InitError::Subscriber)?;
    let metrics = metric::install().map_err(|error| InitError::Metrics(error.into()))?;
    let (tidying, ended) = mpsc::channel();
    let handle = metrics.clone();
    thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            // Nothing is ever sent: the wait ends early when the guard is dropped.
            while ended.recv_timeout(TIDY_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                handle.run_upkeep();
            }
        })
        .map_err(|error| InitError::Metrics(error.into()))?;
    Ok(Guard {
        metrics,
        _tidying: tidying,
    })
}

/// The subscriber that [`init`] installs, writing to `writer`; for tests and embedders.
///
/// # Errors
/// When the filter is not valid.
pub fn subscriber<W>(
    options: &LogOptions,
    colour: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, InitError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.filter).map_err(|source| InitError::Filter {
        filter: options.filter.clone(),
        source,
    })?;
    let redactor = Redactor::new(options.redact_fields.iter().map(String::as_str));
    let line = Line {
        redactor: Arc::new(redactor),
        json: options.format == LogFormat::Json,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colour)
        .fmt_fields(line.clone())
        .event_format(line)
        .with_writer(writer);
    Ok(tracing_subscriber::registry().with(filter).with(lines))
}
