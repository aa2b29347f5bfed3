//! Against a real HTTP server and a real Redis: the crates are the point.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use coordinator_sdk::testing::{Call, Host};
use tempfile::TempDir;

use super::*;

/// Answers `GET /{n}` with `n` bytes, until the test ends.
fn pages() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&stream));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let size = first
        .split(['/', ' '])
        .nth(2)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&vec![b'x'; size]);
}

/// A Redis of the test's own, at a socket in a folder of its own.
struct Redis {
    server: Child,
    folder: TempDir,
}

impl Redis {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let socket = folder.path().join("redis.sock");
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server` is installed: `apt-get install redis-server`");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        Self { server, folder }
    }

    fn url(&self) -> String {
        format!(
            "redis+unix://{}",
            self.folder.path().join("redis.sock").display()
        )
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_page_is_fetched_with_reqwest_and_its_size_is_kept_in_redis() {
    let (redis, pages) = (Redis::start(), pages());
    let host = Host::<Pages>::new(serde_json::json!({"redis": redis.url()}));
    let url = format!("{pages}/4711");
    host.deliver(&PageWanted { url: url.clone() })
        .expect("it is measured and kept");
    let kept = host.call(Call::get(&format!("/size?url={url}")));
    assert_eq!(
        (kept.status, kept.body.as_slice()),
        (200, b"4711".as_slice())
    );
    assert_eq!(host.call(Call::get("/size?url=nowhere")).status, 404);
}

#[test]
fn tasks_that_a_handler_spawns_run_beside_it() {
    let pages = pages();
    let host = Host::<Pages>::new(serde_json::json!({"redis": "redis://127.0.0.1:1"}));
    let sum = host.call(Call::get(&format!("/sum?a={pages}/40&b={pages}/2")));
    assert_eq!((sum.status, sum.body.as_slice()), (200, b"42".as_slice()));
}

#[test]
fn a_redis_that_is_away_is_another_attempt() {
    let pages = pages();
    let host = Host::<Pages>::new(serde_json::json!({"redis": "redis://127.0.0.1:1"}));
    let failed = host
        .deliver(&PageWanted {
            url: format!("{pages}/1"),
        })
        .expect_err("it is away");
    assert!(failed.is_retry(), "{failed:?}");
}
