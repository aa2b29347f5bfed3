//! As much as it takes: publishers that each wait for a receipt, handlers, and the time until the last ack.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use coordinator_journal::Journal;
use serde_json::{Value, json};

use crate::Measures;
use crate::engine::Engine;
use crate::memory::peak_mib;
use crate::stage::{Counts, Maker, dispatch, open_idle, types};

/// Messages on their way at once. While one half of them waits for a commit, the other half is what the next one is made of: so
/// commits are as large as those of the bare loops.
const UNDER_WAY: usize = 512;

/// Messages of one call where a backlog is made.
pub(crate) const BACKLOG: usize = 64;

/// Messages and deliveries a second, with the drain.
pub(crate) async fn measure(measures: &Measures) -> Result<Value> {
    let engine = Engine::open(measures.engine, &measures.dir).await?;
    let journal = Arc::clone(&engine.journal);
    let maker = Maker::new(measures);
    if measures.backlog > 0 {
        // For a handler that takes none of them.
        drop(open_idle(&*journal, "bench.away", &types(measures)).await?);
        publish(&journal, &maker, measures.backlog, BACKLOG).await?;
    }
    let counts = Arc::new(Counts::default());
    let dispatcher = dispatch(measures, Arc::clone(&journal), &counts, Arc::new(|_| ())).await?;
    let deliveries = (measures.messages * measures.handlers) as u64;
    let begun = Instant::now();
    publish(&journal, &maker, measures.messages, measures.batch).await?;
    let published = begun.elapsed();
    counts.reach(deliveries).await;
    settled(&*journal).await?;
    let all = begun.elapsed();
    let memory = peak_mib()?;
    dispatcher.drain(Duration::from_secs(5)).await;
    journal.close().await;
    Ok(json!({
        "published_per_s": per_second(measures.messages as u64, published),
        "messages_per_s": per_second(measures.messages as u64, all),
        "deliveries_per_s": per_second(deliveries, all),
        "us_per_delivery": all.as_secs_f64() * 1e6 / f64::from(u32::try_from(deliveries)?),
        "peak_mib": memory,
    }))
}

/// Waits until the acks are written too, but for those that wait for `bench.away`.
async fn settled(journal: &dyn Journal) -> Result<()> {
    loop {
        let stats = journal.stats().await?;
        let busy = |handler: &&coordinator_journal::HandlerStats| {
            handler.lag > 0 && handler.handler != "bench.away"
        };
        if stats.handlers.iter().find(busy).is_none() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
    let count = count as f64;
    count / took.as_secs_f64()
}

/// Publishes so many messages, `batch` of them in a call, from many publishers.
pub(crate) async fn publish(
    journal: &Arc<dyn Journal>,
    maker: &Maker,
    messages: usize,
    batch: usize,
) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let publishers: Vec<_> = (0..UNDER_WAY.div_ceil(batch))
        .map(|_| {
            let (journal, maker, next) = (Arc::clone(journal), maker.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let first = next.fetch_add(batch, Ordering::Relaxed);
                    if first >= messages {
                        return anyhow::Ok(());
                    }
                    let numbers = first..messages.min(first + batch);
                    let batch = numbers.map(|number| maker.make(number)).collect();
                    journal.publish(batch).await?;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await??;
    }
    Ok(())
}
