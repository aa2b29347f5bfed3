//! A plugin's route against the same function native, in one server behind the same gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use coordinator_abi::manifest::Access;
use coordinator_context::RouteTarget;
use coordinator_dispatch::PipelineTable;
use coordinator_gateway::auth::ApiKeys;
use coordinator_gateway::operator::{By, Operating, Operation, Operator};
use coordinator_gateway::{
    HandlerView, Handlers, Listening, Live, LiveView, MountedRoute, Probe, Problem, RouteTable,
    State,
};
use coordinator_wiring::BoundRoute;

use crate::echo::Echo;
use crate::load;
use crate::native::NativeEcho;

const PAIRS: usize = 7;
const WINDOW: Duration = Duration::from_secs(2);

/// Ratios of requests per second, plugin over native, 32 connections, 1 KiB each way, one server thread.
pub(crate) fn measure(plugin: &Path) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let listening = runtime.block_on(serve(plugin, folder.path()))?;
    let (address, handle) = (listening.address, listening.handle());
    let server = runtime.spawn(listening.server);
    let body = order();
    let ratios = pairs(address, &body);
    runtime.block_on(handle.stop(true));
    runtime.block_on(server)??;
    ratios
}

fn pairs(address: SocketAddr, body: &str) -> Result<Vec<f64>> {
    let mut ratios = Vec::new();
    for pair in 0..=PAIRS {
        let plugin = load::run(address, "/echo/echo", body, WINDOW)?;
        let native = load::run(address, "/native/echo", body, WINDOW)?;
        // The first pair warms up.
        if pair > 0 {
            ratios.push(plugin / native);
        }
    }
    Ok(ratios)
}

async fn serve(path: &Path, data: &Path) -> Result<Listening> {
    let Echo {
        plugins,
        wiring,
        publisher,
    } = Echo::start(path, data, &["echo"]).await?;
    let plugin = Arc::clone(plugins.first().context("it was started")?);
    let echo = wiring
        .routes
        .first()
        .context("the echo plugin has a route")?;
    let routes = vec![
        mounted(echo.clone(), plugin),
        mounted(native_route(echo), Arc::new(NativeEcho)),
    ];
    let state = State {
        publisher,
        live: Live::new(LiveView {
            routes: RouteTable::build(routes, Vec::new())?,
            ..LiveView::default()
        }),
        handlers: Arc::new(NoHandlers),
        pipelines: Arc::new(PipelineTable::default()),
        flags: Arc::default(),
        operator: Arc::new(NoHandlers),
        database: Box::new(|| Box::pin(async { Ok(()) })),
        cache: Box::new(|| Box::pin(async { Ok(()) })),
        behind: Box::new(|| None),
        open_breakers: Box::new(|| 0),
        keys: ApiKeys::default(),
        body_limit: 1 << 20,
        body_timeout: Duration::from_secs(30),
        route_timeout: Duration::from_secs(30),
        probe: Probe::default(),
        bulk: coordinator_gateway::Bulk::default(),
        tails: coordinator_gateway::Tails::default(),
        metrics: Box::new(String::new),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(coordinator_gateway::listen(
        coordinator_gateway::bind(address)?,
        1,
        1_000,
        Duration::from_secs(5),
        Arc::new(state),
    )?)
}

fn mounted(bound: BoundRoute, plugin: Arc<dyn RouteTarget>) -> MountedRoute {
    MountedRoute {
        bound,
        plugin,
        secrets: Vec::new(),
    }
}

fn native_route(echo: &BoundRoute) -> BoundRoute {
    BoundRoute {
        instance: "native".to_owned(),
        path: "/native/echo".to_owned(),
        access: Access::Public,
        ..echo.clone()
    }
}

/// An order of about 1 KiB.
fn order() -> String {
    let line = |n: u32| serde_json::json!({"sku": format!("course-v1:BenchX+{n:04}+2026"), "quantity": 1, "title": format!("Course {n} of the bench")});
    let lines: Vec<_> = (0..10).map(line).collect();
    serde_json::json!({"number": "BENCH-1", "amount": 149_000, "currency": "USD", "lines": lines})
        .to_string()
}

struct NoHandlers;

impl Operator for NoHandlers {
    fn operate(self: Arc<Self>, _: By, _: Operation) -> Operating {
        Box::pin(async { Err(Problem::internal()) })
    }
}

impl Handlers for NoHandlers {
    fn list(&self) -> Vec<HandlerView> {
        Vec::new()
    }

    fn pause(&self, _: &str) -> bool {
        false
    }

    fn resume(&self, _: &str) -> bool {
        false
    }
}
