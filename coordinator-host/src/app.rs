//! Composes the rooms: the only place that knows them all.
//!
//! Load every file, bind the whole wiring, open the journal, start the plugins, run handlers, serve HTTP: each step
//! only after the one before it, so that a mistake is told before anything has happened.

mod absent;
mod catching_up;
mod change;
mod checks;
mod commands;
mod current;
mod error;
mod evolution;
mod files;
mod generation;
mod house;
mod install;
mod journal;
mod observe;
mod operate;
mod origin;
mod pipelines;
mod plan;
mod report;
mod restart;
mod schedules;
mod settings;
mod shown;
mod store;
mod trust;
mod wellness;

use std::sync::Arc;
use std::time::Duration;

use coordinator_cache::{Cache, CacheOptions};
use coordinator_config::{self as config, Config};
use coordinator_context::{Flags, Publisher, Services};
use coordinator_dispatch::PipelineTable;
use coordinator_egress::{Egress, EgressOptions};
use coordinator_gateway::auth::ApiKeys;
use coordinator_gateway::operator::Operator;
use coordinator_gateway::{Bulk, Listening, Probe, State, Tails};
use coordinator_journal::Journal;
use coordinator_loader::Shelf;
use coordinator_telemetry::Guard;

pub(crate) use error::AppError;
use files::Files;
pub(crate) use house::House;
use house::Parts;
pub(crate) use journal::open as open_journal;
use plan::{Against, Plan};
pub(crate) use report::{CheckReport, Found, check};
pub(crate) use store::{Decided, look};
pub(crate) use trust::{keys, trust};

/// A body of a request must arrive within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that runs.
pub(crate) struct App {
    pub(crate) listening: Listening,
    pub(crate) house: Arc<House>,
    pub(crate) journal: Arc<dyn Journal>,
    /// To be closed before the server is stopped.
    pub(crate) tails: Tails,
}

impl App {
    /// Builds and starts everything.
    pub(crate) async fn start(config: Config, telemetry: Guard) -> Result<Self, AppError> {
        let store = store::open(&config).await?;
        let mut snapshot = store.snapshot().await.map_err(AppError::Store)?;
        let shelf = Shelf::new(&config.server.data_dir);
        let loader = trust::loader(&config)?;
        let missing = {
            let files = Files {
                shelf: &shelf,
                loader: &loader,
            };
            let in_file = |name: &str| Some(config.plugins.get(name)?.path.clone());
            files.find(&mut snapshot, in_file)
        };
        let decided = Decided::of(&config, &snapshot, missing)?;
        let against = Against {
            floors: decided.floors,
            missing: decided.missing.clone(),
            ..Against::default()
        };
        let plan = Plan::prepare(decided.config, &loader, &against)?;
        let config = &plan.config;
        let journal = journal::open(config).await?;
        // Taken before anything runs: a taken port is told before a handler has begun.
        let listener = coordinator_gateway::bind(config.server.listen).map_err(AppError::Listen)?;
        let publisher = Publisher::new(Arc::clone(&journal), Arc::clone(&plan.wiring));
        let pipelines = Arc::new(PipelineTable::default());
        let services = lend(&plan, publisher, Arc::clone(&pipelines))?;
        let config = Arc::clone(&plan.config);
        let parts = Parts {
            loader,
            services: services.clone(),
            pipelines,
            journal: Arc::clone(&journal),
            store,
            shelf,
            missing: decided.missing,
            revision: decided.revision,
        };
        let house = Arc::new(House::open(plan, parts).await?);
        wellness::watch(house.live().clone(), services.io.clone());
        let tails = Tails::default();
        let state = state(&house, services, &config, telemetry, tails.clone());
        let server = &config.server;
        let listening = coordinator_gateway::listen(
            listener,
            server.workers,
            server.max_connections,
            server.drain_timeout,
            Arc::new(state),
        )
        .map_err(AppError::Listen)?;
        Ok(Self {
            listening,
            house,
            journal,
            tails,
        })
    }
}

/// What is lent to plugins.
fn lend(
    plan: &Plan,
    publisher: Publisher,
    pipelines: Arc<PipelineTable>,
) -> Result<Services, AppError> {
    let config = &plan.config;
    let flags = Flags::default();
    flags.replace(&plan.wiring.flags, &config.flags);
    Ok(Services {
        publisher,
        pipelines,
        flags: Arc::new(flags),
        cache: open_cache(&config.cache)?,
        egress: Egress::new(&EgressOptions::from(&config.egress)).map_err(AppError::Egress)?,
        io: tokio::runtime::Handle::current(),
    })
}

/// What requests can reach.
fn state(
    house: &Arc<House>,
    services: Services,
    config: &Config,
    telemetry: Guard,
    tails: Tails,
) -> State {
    let Services {
        publisher,
        pipelines,
        flags,
        cache,
        egress,
        ..
    } = services;
    let (stored, followed) = (Arc::clone(house), Arc::clone(house));
    State {
        publisher,
        live: house.live().clone(),
        pipelines,
        flags,
        operator: Arc::clone(house) as Arc<dyn Operator>,
        handlers: Arc::new(observe::Handlers(Arc::clone(house.dispatcher()))),
        database: Box::new(move || stored.database()),
        cache: Box::new(move || {
            let cache = cache.clone();
            Box::pin(async move { cache.probe().await.map_err(|error| error.to_string()) })
        }),
        behind: Box::new(move || followed.behind()),
        open_breakers: Box::new(move || egress.open_breakers().len()),
        keys: ApiKeys::new(&config.api_keys),
        body_limit: config.server.body_limit.as_usize(),
        body_timeout: BODY_TIMEOUT,
        route_timeout: config.dispatch.timeout,
        probe: Probe::default(),
        bulk: Bulk::default(),
        tails,
        metrics: Box::new(move || telemetry.render_metrics()),
    }
}

/// A server is called with the first call: one that is away keeps no host from starting.
fn open_cache(config: &config::Cache) -> Result<Cache, AppError> {
    let options = CacheOptions {
        url: config.url.expose().to_owned(),
        prefix: config.prefix.clone(),
        max_bytes: config.max_size.bytes(),
        max_connections: config.max_connections,
        timeout: config.timeout,
    };
    Cache::open(&options).map_err(AppError::Cache)
}
