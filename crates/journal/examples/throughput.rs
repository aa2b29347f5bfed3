//! How many messages a second are published, and handled, by the embedded engine on this machine's disk.
//!
//! `cargo run --release -p coordinator-journal --example throughput -- [publishers] [seconds] [handlers] [keys]`
//! With `keys`, each message has an idempotency key. Every publisher waits for its receipt before the next message.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Durability, HandlerSpec, Journal, Limits, NewMessage, Settle, SystemClock, Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};

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
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let publishers: u64 = number(0).unwrap_or(256);
    let seconds = number(1).unwrap_or(5);
    let handlers = number(2).unwrap_or(1);
    let keys = arguments.get(3).is_some_and(|text| text == "keys");
    let dir = tempfile::tempdir_in(".")?;
    let journal = open(dir.path()).await?;
    let ty: MessageType = "org.example.payment.received.v1".parse()?;
    let counts = Arc::new(Counts::default());
    for handler in 0..handlers {
        handle(&journal, &counts, &ty, handler).await?;
    }
    let started = Instant::now();
    let publish = |publisher| publish(journal.clone(), counts.clone(), ty.clone(), publisher, keys);
    let tasks: Vec<_> = (0..publishers)
        .map(|publisher| tokio::spawn(publish(publisher)))
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    counts.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    report(
        "published",
        counts.published.load(Ordering::Relaxed),
        started,
    );
    let all = counts.published.load(Ordering::Relaxed) * handlers;
    while counts.acked.load(Ordering::Relaxed) < all {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    report("acked (drained)", all, started);
    journal.close().await;
    Ok(())
}

async fn open(dir: &Path) -> anyhow::Result<Arc<dyn Journal>> {
    let limits = Limits {
        retention: Duration::from_secs(3600),
        max_size: 64 << 30,
        max_backlog: 10_000_000,
        ..Limits::default()
    };
    let options = SqliteOptions {
        dir: dir.to_owned(),
        durability: Durability::Strict,
        limits,
        clock: Arc::new(SystemClock),
    };
    Ok(Arc::new(SqliteJournal::open(options).await?))
}

/// A handler that acks whatever comes, a page at a time.
async fn handle(
    journal: &Arc<dyn Journal>,
    counts: &Arc<Counts>,
    ty: &MessageType,
    number: u64,
) -> anyhow::Result<()> {
    let spec = HandlerSpec::new(format!("bench.{number}"), vec![ty.clone()]);
    let mut stream = journal.open(spec).await?;
    let (journal, counts) = (journal.clone(), counts.clone());
    tokio::spawn(async move {
        while let Ok(deliveries) = stream.next(256).await {
            let acks: Vec<_> = deliveries.into_iter().map(ack).collect();
            let Ok(settled) = journal.settle(acks).await else {
                return;
            };
            counts
                .acked
                .fetch_add(settled.len() as u64, Ordering::Relaxed);
        }
    });
    Ok(())
}

fn ack(delivery: coordinator_journal::Delivery) -> Settle {
    Settle {
        token: delivery.token,
        verdict: Verdict::Ack { emits: Vec::new() },
    }
}

async fn publish(
    journal: Arc<dyn Journal>,
    counts: Arc<Counts>,
    ty: MessageType,
    publisher: u64,
    keys: bool,
) -> anyhow::Result<()> {
    let data = bytes::Bytes::from(format!("\"{}\"", "x".repeat(1022)));
    let mut number = 0_u64;
    while !counts.stop.load(Ordering::Relaxed) {
        let now = Timestamp::now();
        number += 1;
        let message = NewMessage {
            envelope: Envelope::new(MessageId::new(now), ty.clone(), "/bench", now, data.clone()),
            publisher: format!("bench/{publisher}"),
            idempotency_key: keys.then(|| number.to_string()),
            deliver_at: None,
        };
        journal.publish(vec![message]).await?;
        counts.published.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]
fn report(what: &str, count: u64, since: Instant) {
    let elapsed = since.elapsed().as_secs_f64();
    println!(
        "{what}: {count} in {elapsed:.2} s, {:.0}/s",
        count as f64 / elapsed
    );
}
