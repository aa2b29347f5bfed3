//! Are journal, database and cache well? Asked of them now and then, however many ask here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_journal::Journal;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::problem::Chain;

/// The journal's probe writes: asked by strangers, each is asked at most once a second.
#[derive(Default)]
pub struct Probe {
    journal: Known,
    database: Known,
    cache: Known,
    engine: Mutex<Option<(Instant, String)>>,
}

/// What one of them last said.
#[derive(Default)]
struct Known(Mutex<Option<(Instant, Result<(), String>)>>);

const PROBE_AGE: Duration = Duration::from_secs(1);
/// Orchestrators wait a few seconds for a probe.
const PATIENCE: Duration = Duration::from_secs(2);
/// A server may have been set otherwise since.
const ENGINE_AGE: Duration = Duration::from_secs(60);

impl Known {
    async fn ask(&self, asking: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let mut known = self.0.lock().await;
        if let Some((when, answer)) = &*known
            && when.elapsed() < PROBE_AGE
        {
            return answer.clone();
        }
        // A server that hangs answers nothing, and whoever asks here goes by an answer.
        let answer = timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        *known = Some((Instant::now(), answer.clone()));
        answer
    }
}

impl Probe {
    pub(crate) async fn ask(&self, journal: &Arc<dyn Journal>) -> Result<(), String> {
        let asking = async {
            let answer = journal.probe().await;
            answer.map_err(|error| Chain(&error).to_string())
        };
        self.journal.ask(asking).await
    }

    pub(crate) async fn ask_database(
        &self,
        asking: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        self.database.ask(asking).await
    }

    pub(crate) async fn ask_cache(
        &self,
        asking: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        self.cache.ask(asking).await
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
