//! The HTTP server itself.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server as ActixServer, ServerHandle};
use actix_web::{App, HttpServer, Route, web};

use crate::state::State;
use crate::{api, health, plugin_route};

/// A server that accepts connections.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// Runs it when awaited.
    pub server: ActixServer,
}

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}\n  (is another process there? see `server.listen`)")]
pub struct ServeError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Takes the address. Connections wait in the socket's queue until [`listen`] answers them.
///
/// # Errors
///
/// If the address cannot be had.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError { address, source })
}

/// Listens. `workers` of 0 is one per processor; a stop waits up to `drain_timeout` for requests.
///
/// # Errors
///
/// If the server cannot be made of it.
pub fn listen(
    listener: TcpListener,
    workers: usize,
    max_connections: usize,
    drain_timeout: Duration,
    state: Arc<State>,
) -> Result<Listening, ServeError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().map_err(|source| ServeError {
        address: unknown,
        source,
    })?;
    let failed = |source| ServeError { address, source };
    let state = web::Data::from(state);
    let workers = if workers == 0 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        workers
    };
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(configure))
        .workers(workers)
        .max_connections(max_connections)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(drain_timeout.as_secs())
        .disable_signals()
        .listen(listener)
        .map_err(failed)?
        .run();
    Ok(Listening { address, server })
}

impl Listening {
    /// Stops it from elsewhere.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }
}

fn configure(app: &mut web::ServiceConfig) {
    let get = |path, route: Route| api::resource(path, "GET", [route]);
    app.service(get("/livez", web::get().to(health::live)))
        .service(get("/readyz", web::get().to(health::ready)))
        .service(get("/health", web::get().to(health::health)))
        .service(get("/metrics", web::get().to(health::metrics)))
        .service(web::scope("/api/v1").configure(api::configure))
        .default_service(web::to(plugin_route::serve));
}
