//! An open loop: messages come at their own times, whether or not the one before was handled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use coordinator_journal::{Delivery, Journal};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::memory::peak_mib;
use crate::stage::{Counts, Maker, dispatch};
use crate::{Measures, disk};

/// From the moment a message was to be published until its handler was called.
pub(crate) async fn measure(measures: &Measures) -> Result<Value> {
    let probe = disk::measure(&measures.dir)?;
    let engine = Engine::open(measures.engine, &measures.dir).await?;
    let (journal, counts) = (Arc::clone(&engine.journal), Arc::new(Counts::default()));
    let begun = Instant::now();
    let took: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = {
        let took = Arc::clone(&took);
        Arc::new(move |delivery: &Delivery| {
            // The subject says when it was due, in microseconds from the beginning.
            let due = delivery
                .message
                .subject
                .as_deref()
                .and_then(|due| due.parse().ok());
            let due = Duration::from_micros(due.unwrap_or_default());
            let late = begun.elapsed().saturating_sub(due);
            took.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(late);
        })
    };
    let dispatcher = dispatch(measures, Arc::clone(&journal), &counts, seen).await?;
    let messages = measures.rate * measures.seconds;
    publish(
        &journal,
        &Maker::new(measures),
        measures.rate,
        messages,
        begun,
    )
    .await?;
    counts.reach(messages).await;
    let memory = peak_mib()?;
    dispatcher.drain(Duration::from_secs(5)).await;
    journal.close().await;
    let mut took = std::mem::take(&mut *took.lock().unwrap_or_else(PoisonError::into_inner));
    took.sort_unstable();
    Ok(json!({
        "p50_ms": percentile(&took, 50),
        "p99_ms": percentile(&took, 99),
        "fsync_p50_ms": probe["fsync_p50_ms"],
        "fsync_p99_ms": probe["fsync_p99_ms"],
        "peak_mib": memory,
    }))
}

/// Publishes each message at its time, without waiting for the one before. Its subject says when it was due.
async fn publish(
    journal: &Arc<dyn Journal>,
    maker: &Maker,
    rate: u64,
    messages: u64,
    begun: Instant,
) -> Result<()> {
    let start = begun.elapsed() + Duration::from_millis(100);
    let failed = Arc::new(AtomicU64::new(0));
    let mut sent = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while sent < messages {
        ticks.tick().await;
        let now = begun.elapsed().saturating_sub(start);
        let due_by_now = u64::try_from(now.as_micros())? * rate / 1_000_000;
        while sent < due_by_now.min(messages) {
            let due = start + Duration::from_micros(sent * 1_000_000 / rate);
            let mut message = maker.make(usize::try_from(sent)?);
            message.envelope.subject = Some(due.as_micros().to_string());
            let (journal, failed) = (Arc::clone(journal), Arc::clone(&failed));
            tokio::spawn(async move {
                if journal.publish(vec![message]).await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            });
            sent += 1;
        }
    }
    anyhow::ensure!(
        failed.load(Ordering::Relaxed) == 0,
        "some messages were refused"
    );
    Ok(())
}

/// Of sorted times, in milliseconds.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
