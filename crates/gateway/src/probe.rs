//! Is the journal well, and what is it? Asked of it now and then, however many ask here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_journal::Journal;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::problem::Chain;

/// The journal's probe writes: asked by strangers, it is asked at most once a second.
#[derive(Default)]
pub struct Probe {
    well: Mutex<Option<(Instant, Result<(), String>)>>,
    engine: Mutex<Option<(Instant, String)>>,
}

const PROBE_AGE: Duration = Duration::from_secs(1);
/// Orchestrators wait a few seconds for a probe.
const PATIENCE: Duration = Duration::from_secs(2);
/// A server may have been set otherwise since.
const ENGINE_AGE: Duration = Duration::from_secs(60);

impl Probe {
    pub(crate) async fn ask(&self, journal: &Arc<dyn Journal>) -> Result<(), String> {
        let mut known = self.well.lock().await;
        if let Some((when, answer)) = &*known
            && when.elapsed() < PROBE_AGE
        {
            return answer.clone();
        }
        // A server that hangs answers nothing, and whoever asks here goes by an answer.
        let answer = match timeout(PATIENCE, journal.probe()).await {
            Ok(answer) => answer.map_err(|error| Chain(&error).to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    /// The engine and what its receipts are worth: `sqlite 3.50.4, synchronous=full; strict`.
    pub(crate) async fn engine(&self, journal: &Arc<dyn Journal>) -> Option<String> {
        let mut known = self.engine.lock().await;
        if let Some((when, engine)) = &*known
            && when.elapsed() < ENGINE_AGE
        {
            return Some(engine.clone());
        }
        let stats = timeout(PATIENCE, journal.stats()).await.ok()?.ok()?;
        let durability = serde_json::to_value(stats.durability).ok()?;
        let durability = durability.as_str().unwrap_or_default();
        let engine = format!("{}; {durability}", stats.engine);
        *known = Some((Instant::now(), engine.clone()));
        Some(engine)
    }
}
