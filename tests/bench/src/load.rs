//! A bounded load: so many connections post one body again and again for a while.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

const CONNECTIONS: usize = 32;

/// Requests per second to `path`, over `time`.
pub(crate) fn run(address: SocketAddr, path: &str, body: &str, time: Duration) -> Result<f64> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let answered = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| client(address, request.as_bytes(), &stop)))
            .collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let count = |client: std::thread::ScopedJoinHandle<'_, Result<u32>>| {
            client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?
        };
        clients.into_iter().map(count).sum::<Result<u32>>()
    })?;
    Ok(f64::from(answered) / began.elapsed().as_secs_f64())
}

fn client(address: SocketAddr, request: &[u8], stop: &AtomicBool) -> Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(request)?;
        read_answer(&mut stream, &mut buffer)?;
        answered += 1;
    }
    Ok(answered)
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "the server closed the connection");
        filled += read;
        let Some(end) = buffer[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).context("the head is not text")?;
        ensure!(
            head.starts_with("HTTP/1.1 200"),
            "the server answered: {head}"
        );
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let length: usize = length.context("the answer has no content-length")?;
        if filled >= end + 4 + length {
            return Ok(());
        }
    }
}
