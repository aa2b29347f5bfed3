//! Composes the rooms: the only place that knows them all.
//!
//! Load every file, bind the whole wiring, open the journal, start the plugins, run handlers, serve HTTP: each step
//! only after the one before it, so that a mistake is told before anything has happened.

mod error;
mod install;
mod journal;
mod observe;
mod report;
mod schedules;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use coordinator_config::Config;
use coordinator_context::{Plugin, PluginHandler, Publisher, Services, Target};
use coordinator_dispatch::{DispatchOptions, Dispatcher, Schedule, StartError, Ticker};
use coordinator_egress::{Egress, EgressOptions};
use coordinator_gateway::auth::ApiKeys;
use coordinator_gateway::{Bulk, Listening, PluginStatus, Probe, RouteTable, State, Tails};
use coordinator_journal::{Journal, SystemClock};
use coordinator_message::{MessageId, Timestamp};
use coordinator_telemetry::Guard;
use coordinator_telemetry::metric::{self, PluginState};
use coordinator_wiring::{Finding, Severity, Wiring};

pub(crate) use error::AppError;
use install::{House, Installed};
pub(crate) use journal::open as open_journal;
pub(crate) use report::{CheckReport, check};

/// A body of a request must arrive within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that runs.
pub(crate) struct App {
    pub(crate) listening: Listening,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) ticker: Ticker,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) plugins: Vec<Arc<Plugin>>,
    /// To be closed before the server is stopped.
    pub(crate) tails: Tails,
}

impl App {
    /// Builds and starts everything.
    pub(crate) async fn start(config: &Config, telemetry: Guard) -> Result<Self, AppError> {
        let mut house = House::load(config)?;
        let (wiring, findings) = house.bind(config).map_err(AppError::Wiring)?;
        warn(&findings);
        let wiring = Arc::new(wiring);
        let schedules = checked_schedules(config, &wiring, &house)?;
        let journal = journal::open(config).await?;
        // Taken before anything runs: a taken port is told before a handler has begun.
        let listener = coordinator_gateway::bind(config.server.listen).map_err(AppError::Listen)?;
        let publisher = Publisher::new(Arc::clone(&journal), Arc::clone(&wiring));
        let services = Services {
            publisher: publisher.clone(),
            egress: Egress::new(&EgressOptions::from(&config.egress)).map_err(AppError::Egress)?,
            io: tokio::runtime::Handle::current(),
        };
        house.start(&services).await?;
        let routes = routes(&house, &wiring)?;
        let dispatcher = start_dispatch(config, &house, &wiring, Arc::clone(&journal)).await?;
        let dispatcher = Arc::new(dispatcher);
        let tails = Tails::default();
        let egress = services.egress.clone();
        let state = State {
            publisher: publisher.clone(),
            routes,
            plugins: house.entries(),
            handlers: Arc::new(observe::Handlers(Arc::clone(&dispatcher))),
            schedules: schedules.iter().map(schedules::entry).collect(),
            open_breakers: Box::new(move || egress.open_breakers().len()),
            keys: ApiKeys::new(&config.api_keys),
            body_limit: config.server.body_limit.as_usize(),
            body_timeout: BODY_TIMEOUT,
            route_timeout: config.dispatch.timeout,
            probe: Probe::default(),
            bulk: Bulk::default(),
            tails: tails.clone(),
            metrics: Box::new(move || telemetry.render_metrics()),
        };
        let server = &config.server;
        let listening = coordinator_gateway::listen(
            listener,
            server.workers,
            server.max_connections,
            server.drain_timeout,
            Arc::new(state),
        )
        .map_err(AppError::Listen)?;
        let ticking = schedules.into_iter().filter(|checked| checked.enabled);
        let ticking = ticking.map(|checked| checked.schedule).collect();
        Ok(Self {
            listening,
            dispatcher,
            ticker: start_ticker(ticking, publisher),
            journal,
            plugins: house.running(),
            tails,
        })
    }
}

/// Handlers of plugins that did not start are opened all the same, and not read: a handler that the journal never saw
/// would begin at *now* once its plugin starts, and what was accepted until then would not be delivered to it.
async fn start_dispatch(
    config: &Config,
    house: &House<'_>,
    wiring: &Wiring,
    journal: Arc<dyn Journal>,
) -> Result<Dispatcher, AppError> {
    let mut targets: Vec<Arc<dyn Target>> = Vec::new();
    for bound in &wiring.handlers {
        if let Some(plugin) = house.plugin(&bound.instance) {
            targets.push(Arc::new(PluginHandler::new(plugin, bound.clone())));
            continue;
        }
        if let Err(source) = journal.open(coordinator_context::spec(bound)).await {
            let handler = bound.id.clone();
            return Err(AppError::Dispatch(StartError::Open { handler, source }));
        }
    }
    let options = DispatchOptions {
        threads: config.dispatch.threads,
        redact: Arc::new(|text| coordinator_telemetry::redact(text).into_owned()),
        observer: Arc::new(observe::Metrics),
        ..DispatchOptions::default()
    };
    Dispatcher::start(options, journal, targets)
        .await
        .map_err(AppError::Dispatch)
}

fn checked_schedules(
    config: &Config,
    wiring: &Wiring,
    house: &House<'_>,
) -> Result<Vec<schedules::Checked>, AppError> {
    let away = house.is_incomplete();
    let (checked, findings) = schedules::read(&config.wiring.schedules, &wiring.types, away);
    if findings.iter().any(|it| it.severity == Severity::Error) {
        return Err(AppError::Wiring(findings));
    }
    warn(&findings);
    Ok(checked)
}

/// This process is a node of its own, also where another one ran before it.
fn start_ticker(schedules: Vec<Schedule>, publisher: Publisher) -> Ticker {
    let node = MessageId::new(Timestamp::now()).to_string();
    Ticker::start(schedules, publisher, Arc::new(SystemClock), node)
}

fn routes(house: &House<'_>, wiring: &Wiring) -> Result<RouteTable, AppError> {
    let mounted = wiring
        .routes
        .iter()
        .filter_map(|bound| house.mounted(bound))
        .collect();
    let closed = house.installed.iter().filter_map(|installed| {
        let why = match installed.status() {
            PluginStatus::Ready => return None,
            PluginStatus::Disabled => "is switched off",
            PluginStatus::Failed => {
                "does not run: see the host's log, and `coordinator plugin list`"
            }
        };
        Some((
            installed.config.mount.clone(),
            format!("plugin `{}` {why}", installed.config.name),
        ))
    });
    RouteTable::build(mounted, closed.collect()).map_err(AppError::Route)
}

fn warn(findings: &[Finding]) {
    for finding in findings {
        tracing::warn!(
            check.id = finding.id,
            "{}: {} ({})",
            finding.subject,
            finding.message,
            finding.hint
        );
    }
}

/// A gauge and a log line for a plugin's state.
fn tell(installed: &Installed<'_>) {
    let name = &installed.config.name;
    match installed.status() {
        PluginStatus::Ready => {
            metric::plugin_state(name, PluginState::Ready);
            if let Some(loaded) = installed.loaded() {
                let manifest = loaded.manifest();
                tracing::info!(
                    plugin.name = %name,
                    plugin.version = %manifest.version,
                    "plugin `{name}` is ready: {} {}, mounted at {}",
                    manifest.name, manifest.version, installed.config.mount
                );
            }
        }
        PluginStatus::Failed => {
            metric::plugin_state(name, PluginState::Failed);
            let error = installed.error().unwrap_or_default();
            tracing::error!(plugin.name = %name, error, "plugin `{name}` does not run; its deliveries wait");
        }
        PluginStatus::Disabled => metric::plugin_state(name, PluginState::Stopped),
    }
}
