//! Looks at the journal's counts now and then: for metrics, and to follow what operators did, here or on another node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::{Journal, Stats};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::phase::{Phase, reached};
use crate::roster::Roster;
use crate::threads::Reactor;
use crate::{BreakerState, DispatchOptions, Observer};

/// The looks of one dispatcher.
pub(crate) struct Sampling {
    journal: Arc<dyn Journal>,
    roster: Arc<Roster>,
    observer: Arc<dyn Observer>,
    every: Duration,
    /// Which handlers the journal said were paused.
    paused: HashMap<String, bool>,
    /// The last look found nothing, which has been said.
    blind: bool,
}

impl Sampling {
    /// Looks once, and then now and then on the runtime until the dispatcher drains.
    pub(crate) async fn start(
        options: &DispatchOptions,
        reactor: &Reactor,
        journal: Arc<dyn Journal>,
        roster: Arc<Roster>,
        phases: watch::Receiver<Phase>,
    ) {
        for handler in &*roster.all() {
            options.observer.breaker(handler.id(), BreakerState::Closed);
        }
        let mut sampling = Self {
            journal,
            roster,
            observer: Arc::clone(&options.observer),
            every: options.sample_every.max(Duration::from_millis(1)),
            paused: HashMap::new(),
            blind: false,
        };
        sampling.look().await;
        reactor.handle().spawn(sampling.run(phases));
    }

    async fn run(mut self, mut phases: watch::Receiver<Phase>) {
        loop {
            tokio::select! {
                () = sleep(self.every) => self.look().await,
                () = reached(&mut phases, Phase::Draining) => return,
            }
        }
    }

    async fn look(&mut self) {
        match self.journal.stats().await {
            Ok(stats) => {
                self.follow(&stats);
                self.observer.sampled(&stats);
                self.blind = false;
            }
            Err(_) if self.blind => {}
            Err(error) => {
                self.blind = true;
                warn!(
                    error = &error as &dyn std::error::Error,
                    "the journal cannot be counted: metrics stay as they are until it can",
                );
            }
        }
    }

    /// Only what changed is followed: a handler that was paused here a moment ago stays so until the journal says it.
    fn follow(&mut self, stats: &Stats) {
        for counted in &stats.handlers {
            let Some(handler) = self.roster.find(&counted.handler) else {
                // Should it come back, it is followed from the beginning.
                self.paused.remove(&counted.handler);
                continue;
            };
            let before = self
                .paused
                .insert(counted.handler.clone(), counted.paused)
                .unwrap_or(false);
            if before != counted.paused && handler.is_paused() != counted.paused {
                let state = if counted.paused { "paused" } else { "resumed" };
                info!(
                    handler.name = handler.id(),
                    "handler `{}` is {state}",
                    handler.id(),
                );
                handler.set_paused(counted.paused);
            }
        }
    }
}
