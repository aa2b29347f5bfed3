//! A way to a server that can be cut in the middle of what goes over it.

use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use coordinator_tests::eventually;

/// Forwards connections. Its threads end with the test process.
pub(crate) struct Proxy {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    /// A way to the server at `port` of loopback.
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cut = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let (client_too, server_too) = (again(&client), again(&server));
                let cut = Arc::clone(&shared);
                thread::spawn(move || forward(client, server, &cut));
                thread::spawn(move || forward(server_too, client_too, &AtomicBool::new(false)));
            }
        });
        Self { port, cut }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Half of the next thing that a client says arrives; then its connection is gone. Returns when that has happened.
    pub(crate) fn cut_next(&self) {
        self.cut.store(true, Ordering::SeqCst);
        eventually("a connection is cut", || {
            (!self.cut.load(Ordering::SeqCst)).then_some(())
        });
    }
}

fn again(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a free descriptor")
}

/// Until one side ends it, or it is cut.
fn forward(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut chunk) {
        let cut = length > 0 && cut.swap(false, Ordering::SeqCst);
        let arrives = if cut { length / 2 } else { length };
        if length == 0 || to.write_all(&chunk[..arrives]).is_err() || cut {
            break;
        }
    }
    // They may have ended it already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
