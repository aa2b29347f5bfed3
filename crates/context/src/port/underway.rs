//! A delivery in progress: what it has published so far, and which pipelines and steps it is part of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator_journal::{Delivery, NewMessage};
use coordinator_message::MessageId;

use super::lock;

/// A delivery, or one step of a pipeline that it runs.
#[derive(Clone)]
pub(crate) struct Underway {
    delivery: Arc<Delivery>,
    /// The handler; of a step also which run and which step: what is derived from it is the same in each attempt.
    path: String,
    /// `None` once it has ended.
    emits: Arc<Mutex<Option<Vec<NewMessage>>>>,
    /// The longest wait that an open breaker told, in milliseconds; zero if none was open.
    turned_away_ms: Arc<AtomicU64>,
}

impl Underway {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            path: delivery.token.handler.to_string(),
            delivery: Arc::new(delivery),
            emits: Arc::new(Mutex::new(Some(Vec::new()))),
            turned_away_ms: Arc::default(),
        }
    }

    /// The same delivery, within run number `run`.
    pub(crate) fn running(&self, run: u32) -> Self {
        Self {
            path: format!("{}/{run}", self.path),
            ..self.clone()
        }
    }

    /// The same delivery, within a step. What the step publishes is its own until it has succeeded.
    pub(crate) fn stepping(&self, step: &str) -> Self {
        Self {
            path: format!("{}/{step}", self.path),
            emits: Arc::new(Mutex::new(Some(Vec::new()))),
            ..self.clone()
        }
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub(crate) fn emits(&self) -> &Mutex<Option<Vec<NewMessage>>> {
        &self.emits
    }

    /// Id of message number `index` that it publishes.
    pub(crate) fn emit_id(&self, index: u32) -> MessageId {
        self.derived(&self.path, index)
    }

    /// Id of a run.
    pub(crate) fn run_id(&self) -> MessageId {
        self.derived(&format!("{}/run", self.path), 0)
    }

    /// Key of outbound call number `index`.
    pub(crate) fn call_id(&self, index: u32) -> MessageId {
        self.derived(&format!("{}/http", self.path), index)
    }

    fn derived(&self, scope: &str, index: u32) -> MessageId {
        let Delivery {
            message, replay, ..
        } = &*self.delivery;
        message.id.emitted(scope, *replay, index)
    }

    /// Takes over what a step of it published.
    pub(crate) fn keep(&self, emitted: Vec<NewMessage>) {
        if let Some(emits) = lock(&self.emits).as_mut() {
            emits.extend(emitted);
        }
    }

    /// What was published so far. Later publishes are refused.
    pub(crate) fn end(&self) -> Vec<NewMessage> {
        lock(&self.emits).take().unwrap_or_default()
    }

    pub(crate) fn turn_away(&self, millis: u64) {
        self.turned_away_ms.fetch_max(millis, Ordering::Relaxed);
    }

    pub(crate) fn turned_away(&self) -> Option<Duration> {
        match self.turned_away_ms.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }
}
