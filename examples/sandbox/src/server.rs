//! The HTTP server on threads of its own, and its end.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::{App, HttpServer, rt, web};

use crate::{Outside, control, lms};

/// A second handle on the connection a request came by, to cut it without an answer.
pub(crate) struct Line(pub(crate) TcpStream);

/// The sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not of this computer.
    #[error("failed to listen on `{address}`")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The server's threads did not come up.
    #[error("failed to start the server threads")]
    Threads(#[source] io::Error),
}

pub(crate) struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Disconnected once no thread serves any more.
    ended: mpsc::Receiver<Serving>,
}

/// Held by every thread that serves; never sent.
enum Serving {}

impl Server {
    pub(crate) fn start(listen: SocketAddr, outside: Arc<Outside>) -> Result<Self, StartError> {
        let refused = |source| StartError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (started, starting) = mpsc::channel();
        let (serving, ended) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || rt::System::new().block_on(run(listener, outside, serving, started)))
            .map_err(StartError::Threads)?;
        let handle = starting
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the server thread ended early")))
            .map_err(StartError::Threads)?;
        Ok(Self {
            address,
            handle,
            thread: Some(thread),
            ended,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not graceful: a hung answer would hold the end up. The command is sent by the call itself;
        // the future only waits for it.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread was already printed; a drop must not add a second.
            drop(thread.join());
        }
        // The server does not wait for its workers, which would answer on old connections for a moment yet.
        drop(self.ended.recv());
    }
}

async fn run(
    listener: TcpListener,
    outside: Arc<Outside>,
    serving: mpsc::Sender<Serving>,
    started: mpsc::Sender<io::Result<ServerHandle>>,
) {
    let outside = web::Data::from(outside);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(outside.clone())
            .app_data(serving.clone())
            .service(control::scope())
            .default_service(web::to(lms::receive))
    })
    .workers(2)
    .disable_signals()
    .shutdown_timeout(0)
    .on_connect(|connection, extensions: &mut Extensions| {
        let line = connection
            .downcast_ref::<rt::net::TcpStream>()
            .and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
        if let Some(line) = line {
            extensions.insert(Line(TcpStream::from(line)));
        }
    })
    .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            if started.send(Ok(server.handle())).is_ok() {
                // It ends by the handle; an error then concerns nobody any more.
                drop(server.await);
            }
        }
        Err(error) => drop(started.send(Err(error))),
    }
}
