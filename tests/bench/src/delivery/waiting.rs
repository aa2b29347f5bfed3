//! A backlog: everything was accepted while no handler ran; then the host starts and drains it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::Measures;
use crate::engine::Engine;
use crate::load::{BACKLOG, per_second, publish};
use crate::memory::peak_mib;
use crate::stage::{Counts, Maker, dispatch, open_idle, types};

/// Called twice on one folder: the first fills it, the second starts on it, so that memory is that of the drain.
pub(crate) async fn measure(measures: &Measures) -> Result<Value> {
    let filled = measures.dir.join("filled");
    let begun = Instant::now();
    let engine = Engine::open(measures.engine, &measures.dir).await?;
    let journal = Arc::clone(&engine.journal);
    if !filled.exists() {
        drop(open_idle(&*journal, "bench.handler-0", &types(measures)).await?);
        publish(&journal, &Maker::new(measures), measures.messages, BACKLOG).await?;
        journal.close().await;
        std::fs::write(filled, "")?;
        return Ok(json!({}));
    }
    let counts = Arc::new(Counts::default());
    let dispatcher = dispatch(measures, Arc::clone(&journal), &counts, Arc::new(|_| ())).await?;
    let started = begun.elapsed();
    let messages = measures.messages as u64;
    counts.reach(messages).await;
    let all = begun.elapsed();
    let memory = peak_mib()?;
    dispatcher.drain(Duration::from_secs(5)).await;
    journal.close().await;
    Ok(json!({
        "start_ms": started.as_secs_f64() * 1_000.0,
        "deliveries_per_s": per_second(messages, all.saturating_sub(started)),
        "peak_mib": memory,
    }))
}
