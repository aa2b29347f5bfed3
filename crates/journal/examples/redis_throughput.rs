//! How many messages a second are published, handled and acked by the Redis engine, against a bare loop of pipelined
//! XADD, XREADGROUP and XACK with the same messages on the same server.
//!
//! `cargo run --release -p coordinator-journal --example redis_throughput -- redis://127.0.0.1:PORT [publishers] [seconds]`
//! Every publisher waits for its receipt before the next message. The server's database is emptied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coordinator_journal::redis::{RedisJournal, RedisOptions};
use coordinator_journal::{
    Durability, HandlerSpec, Journal, Limits, NewMessage, Settle, SystemClock, Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Value, cmd, pipe};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What everybody counts.
#[derive(Default)]
struct Counts {
    published: AtomicU64,
    acked: AtomicU64,
    stop: AtomicBool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = arguments
        .first()
        .cloned()
        .unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let (publishers, seconds) = (number(1).unwrap_or(256), number(2).unwrap_or(5));
    for round in 1..=3 {
        let bare = bare(&url, publishers, seconds).await?;
        let engine = engine(&url, publishers, seconds).await?;
        say(&format!(
            "round {round}: bare {bare:.0}/s, engine {engine:.0}/s, {:.2} of it",
            engine / bare
        ));
    }
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let client = Client::open(url)?;
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// Counts for so many seconds, then until everything is acked; answers messages a second.
async fn measure(counts: &Counts, seconds: u64) -> f64 {
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    counts.stop.store(true, Ordering::Relaxed);
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let all = counts.published.load(Ordering::Relaxed);
        if counts.acked.load(Ordering::Relaxed) >= all {
            return all as f64 / started.elapsed().as_secs_f64();
        }
    }
}

/// The same work with nothing around it.
async fn bare(url: &str, publishers: u64, seconds: u64) -> anyhow::Result<f64> {
    let mut connection = connect(url).await?;
    cmd("FLUSHALL").query_async::<()>(&mut connection).await?;
    let mut group = cmd("XGROUP");
    group
        .arg("CREATE")
        .arg("s")
        .arg("g")
        .arg("$")
        .arg("MKSTREAM");
    group.query_async::<()>(&mut connection).await?;
    let counts = Arc::new(Counts::default());
    let (queue, waiting) = mpsc::channel(4096);
    tokio::spawn(write(connection.clone(), waiting));
    tokio::spawn(read(connection.clone(), counts.clone()));
    for _ in 0..publishers {
        let (queue, counts) = (queue.clone(), counts.clone());
        tokio::spawn(async move {
            while !counts.stop.load(Ordering::Relaxed) {
                let (reply, done) = oneshot::channel();
                if queue.send(reply).await.is_err() || done.await.is_err() {
                    return;
                }
                counts.published.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    drop(queue);
    Ok(measure(&counts, seconds).await)
}

async fn write(
    connection: MultiplexedConnection,
    mut waiting: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let (meta, data) = ("m".repeat(100), payload());
    let places = Arc::new(Semaphore::new(3));
    while let Some(first) = waiting.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let mut batch = vec![first];
        while batch.len() < 128
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let mut all = pipe();
        for _ in &batch {
            all.cmd("XADD").arg("s").arg("*").arg("m").arg(&meta);
            all.arg("d").arg(&*data).ignore();
        }
        let mut connection = connection.clone();
        tokio::spawn(async move {
            if all.query_async::<()>(&mut connection).await.is_ok() {
                for reply in batch {
                    let _ = reply.send(());
                }
            }
            drop(place);
        });
    }
}

async fn read(mut connection: MultiplexedConnection, counts: Arc<Counts>) {
    loop {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg("g").arg("c").arg("COUNT").arg(256);
        read.arg("STREAMS").arg("s").arg(">");
        let Ok(found) = read.query_async::<Value>(&mut connection).await else {
            return;
        };
        let Value::Array(streams) = found else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut ack = cmd("XACK");
        ack.arg("s").arg("g");
        let mut count = 0;
        for stream in streams {
            let Value::Array(pair) = stream else { return };
            let Some(Value::Array(entries)) = pair.into_iter().nth(1) else {
                return;
            };
            for entry in entries {
                let Value::Array(parts) = entry else { return };
                let Some(Value::BulkString(id)) = parts.into_iter().next() else {
                    return;
                };
                ack.arg(id);
                count += 1;
            }
        }
        if ack.query_async::<()>(&mut connection).await.is_err() {
            return;
        }
        counts.acked.fetch_add(count, Ordering::Relaxed);
    }
}

/// The engine, with one handler that acks whatever comes.
async fn engine(url: &str, publishers: u64, seconds: u64) -> anyhow::Result<f64> {
    let mut connection = connect(url).await?;
    cmd("FLUSHALL").query_async::<()>(&mut connection).await?;
    let options = RedisOptions {
        url: url.to_owned(),
        prefix: "bench".to_owned(),
        partitions: 1,
        durability: Durability::Relaxed,
        asserted: false,
        limits: Limits {
            max_size: 64 << 30,
            max_backlog: 10_000_000,
            ..Limits::default()
        },
        clock: Arc::new(SystemClock),
        node_timeout: Duration::from_secs(10),
    };
    let journal = Arc::new(RedisJournal::open(options).await?);
    let ty: MessageType = "org.example.payment.received.v1".parse()?;
    let counts = Arc::new(Counts::default());
    let spec = HandlerSpec::new("bench.0", vec![ty.clone()]);
    let mut stream = journal.open(spec).await?;
    let (acking, acked) = (journal.clone(), counts.clone());
    tokio::spawn(async move {
        while let Ok(deliveries) = stream.next(256).await {
            let acks = deliveries.into_iter().map(|delivery| Settle {
                token: delivery.token,
                verdict: Verdict::Ack { emits: Vec::new() },
            });
            let Ok(settled) = acking.settle(acks.collect()).await else {
                return;
            };
            acked
                .acked
                .fetch_add(settled.len() as u64, Ordering::Relaxed);
        }
    });
    for publisher in 0..publishers {
        tokio::spawn(publish(
            journal.clone(),
            counts.clone(),
            ty.clone(),
            publisher,
        ));
    }
    let rate = measure(&counts, seconds).await;
    journal.close().await;
    Ok(rate)
}

async fn publish(
    journal: Arc<RedisJournal>,
    counts: Arc<Counts>,
    ty: MessageType,
    publisher: u64,
) -> anyhow::Result<()> {
    let data = bytes::Bytes::from(payload());
    while !counts.stop.load(Ordering::Relaxed) {
        let now = Timestamp::now();
        let message = NewMessage {
            envelope: Envelope::new(MessageId::new(now), ty.clone(), "/bench", now, data.clone()),
            publisher: format!("bench/{publisher}"),
            idempotency_key: None,
            deliver_at: None,
        };
        journal.publish(vec![message]).await?;
        counts.published.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn payload() -> String {
    format!("\"{}\"", "x".repeat(1022))
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]
fn say(text: &str) {
    println!("{text}");
}
