//! Is the journal well? Asked of it at most once a second, however many ask here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_journal::Journal;
use tokio::sync::Mutex;

use crate::problem::Chain;

/// The journal's probe writes: asked by strangers, it is asked at most once a second.
#[derive(Default)]
pub struct Probe(Mutex<Option<(Instant, Result<(), String>)>>);

const PROBE_AGE: Duration = Duration::from_secs(1);

impl Probe {
    pub(crate) async fn ask(&self, journal: &Arc<dyn Journal>) -> Result<(), String> {
        let mut known = self.0.lock().await;
        if let Some((when, answer)) = &*known
            && when.elapsed() < PROBE_AGE
        {
            return answer.clone();
        }
        let answer = journal.probe().await;
        let answer = answer.map_err(|error| Chain(&error).to_string());
        *known = Some((Instant::now(), answer.clone()));
        answer
    }
}
