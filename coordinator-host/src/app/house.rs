//! What runs, for as long as the process does: the plan in force, and the movement that puts another in its place.
//!
//! Beside the plan in force the new one is prepared, started and probed. Then, from one moment to the next, requests,
//! deliveries and ticks begin at the new one; what had begun at the old one ends there, and then that is stopped.
//! Whatever fails before that moment leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use coordinator_config::Config;
use coordinator_context::{Flags, Services};
use coordinator_dispatch::{DispatchOptions, Dispatcher, DrainReport, PipelineTable};
use coordinator_gateway::Live;
use coordinator_journal::Journal;
use coordinator_loader::{Loader, Shelf, Version};
use coordinator_message::{MessageId, Timestamp};
use coordinator_store::Store;
use coordinator_wiring::Wiring;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

use super::current::{Current, ticker};
use super::error::AppError;
use super::generation::{Numbers, Retiring};
use super::observe;
use super::plan::{Against, Plan};
use super::shown::Shown;
use super::store::{floors, layer};
use super::trust::trust;

/// See the head of this file.
pub(crate) struct House {
    loader: Loader,
    services: Services,
    dispatcher: Arc<Dispatcher>,
    pipelines: Arc<PipelineTable>,
    store: Store,
    shelf: Shelf,
    live: Live,
    /// As operators see it, also while a change is being made.
    shown: RwLock<Arc<Shown>>,
    retiring: Arc<Retiring>,
    /// This process, also where another one ran before it.
    node: String,
    /// One change at a time.
    current: Mutex<Current>,
}

/// What a change is allowed to assume.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Read files again that were read under the same path.
    pub(super) reread: bool,
    /// Plugins that the change is about.
    pub(super) touched: BTreeSet<String>,
    /// The versions below which a signed file is refused.
    pub(super) floors: BTreeMap<String, Version>,
}

/// What the house is made of.
pub(super) struct Parts {
    pub(super) loader: Loader,
    pub(super) services: Services,
    pub(super) pipelines: Arc<PipelineTable>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) store: Store,
    /// The revision that the plan was made of.
    pub(super) revision: u64,
}

impl House {
    /// Starts what `plan` says.
    ///
    /// # Errors
    ///
    /// If what must run does not.
    pub(super) async fn open(mut plan: Plan, parts: Parts) -> Result<Self, AppError> {
        let Parts {
            loader,
            services,
            pipelines,
            journal,
            store,
            revision,
        } = parts;
        let mut numbers = Numbers::default();
        let against = Against::default();
        plan.start(&services, &mut numbers, &against).await?;
        loader.raise(plan.versions());
        let options = DispatchOptions {
            threads: plan.config.dispatch.threads,
            redact: Arc::new(|text| coordinator_telemetry::redact(text).into_owned()),
            observer: Arc::new(observe::Metrics),
            ..DispatchOptions::default()
        };
        let mut current = Current::new(plan, numbers, revision);
        pipelines.replace(current.plan.pipelines());
        current.wait(&*journal, |_| true).await?;
        let targets = current.targets();
        let dispatcher = Dispatcher::start(options, journal, targets)
            .await
            .map_err(AppError::Dispatch)?;
        let node = MessageId::new(Timestamp::now()).to_string();
        current.ticker = Some(ticker(&current.plan, &services.publisher, &node));
        Ok(Self {
            loader,
            store,
            shelf: Shelf::new(&current.plan.config.server.data_dir),
            live: Live::new(current.plan.view()?),
            shown: RwLock::new(Arc::new(Shown::of(&current.plan))),
            services,
            pipelines,
            dispatcher: Arc::new(dispatcher),
            retiring: Arc::default(),
            node,
            current: Mutex::new(current),
        })
    }

    /// What is in force. Whoever holds it makes the only change there is.
    pub(super) async fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().await
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Does the database answer?
    pub(super) fn database(&self) -> coordinator_gateway::Asking {
        let store = self.store.clone();
        Box::pin(async move { store.probe().await.map_err(|error| error.to_string()) })
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub(super) fn loader(&self) -> &Loader {
        &self.loader
    }

    pub(super) fn io(&self) -> &Handle {
        &self.services.io
    }

    pub(super) fn wiring(&self) -> Arc<Wiring> {
        self.services.publisher.wiring()
    }

    pub(super) fn flags(&self) -> &Flags {
        &self.services.flags
    }

    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn retiring(&self) -> &Retiring {
        &self.retiring
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// Reads the configuration file and every plugin file again, and puts what they say in force.
    ///
    /// # Errors
    ///
    /// What is wrong; nothing has changed then.
    pub(crate) async fn reload(&self) -> Result<(), AppError> {
        let mut current = self.current().await;
        let snapshot = self.store.snapshot().await.map_err(AppError::Store)?;
        let config = current.plan.config.reload(layer(&snapshot))?;
        super::restart::tell(&current.plan.config, &config);
        let scope = Scope {
            reread: true,
            floors: floors(&snapshot),
            ..Scope::default()
        };
        current.revision = snapshot.revision;
        let before = self.loader.set_trust(trust(&config)?);
        let done = match self.prepare(&mut current, config, scope).await {
            Ok(plan) => self.swap(&mut current, plan).await,
            Err(refused) => Err(refused),
        };
        if done.is_err() {
            self.loader.set_trust(before);
        }
        done
    }

    /// Puts in force what another host has stored since; answers its revision, if there is one.
    ///
    /// # Errors
    ///
    /// What is wrong with it here; it is not tried again until the next one.
    pub(crate) async fn follow(&self) -> Result<Option<u64>, AppError> {
        let mut current = self.current().await;
        if self.store.revision().await.map_err(AppError::Store)? == current.revision {
            return Ok(None);
        }
        let snapshot = self.store.snapshot().await.map_err(AppError::Store)?;
        current.revision = snapshot.revision;
        let config = current.plan.config.with_overrides(layer(&snapshot))?;
        let scope = Scope {
            floors: floors(&snapshot),
            ..Scope::default()
        };
        let plan = self.prepare(&mut current, config, scope).await?;
        self.swap(&mut current, plan).await?;
        Ok(Some(snapshot.revision))
    }

    /// A plan whose plugins run, beside the one in force.
    pub(super) async fn prepare(
        &self,
        current: &mut Current,
        config: Config,
        scope: Scope,
    ) -> Result<Plan, AppError> {
        let Current { plan, numbers, .. } = current;
        let against = Against {
            before: Some(plan),
            reread: scope.reread,
            touched: scope.touched,
            floors: scope.floors,
        };
        // Files are read and linked here, which takes its time.
        let prepared =
            tokio::task::block_in_place(|| Plan::prepare(config, &self.loader, &against));
        let mut next = prepared?;
        next.start(&self.services, numbers, &against).await?;
        Ok(next)
    }

    /// Puts `next` in force.
    pub(super) async fn swap(&self, current: &mut Current, next: Plan) -> Result<(), AppError> {
        let view = match next.view() {
            Ok(view) => view,
            Err(refused) => {
                next.stop_beside(Some(&current.plan)).await;
                return Err(refused);
            }
        };
        let patience = next.config.server.drain_timeout;
        let publisher = &self.services.publisher;
        let before = publisher.replace(&next.wiring);
        let old = std::mem::replace(&mut current.plan, next);
        let moved = self.dispatch(current).await;
        let leaving = match moved {
            Ok(leaving) => leaving,
            Err(refused) => {
                let next = std::mem::replace(&mut current.plan, old);
                publisher.replace(&before);
                publisher.forget(&before);
                publisher.forget(&next.wiring);
                // What was not yet bound is bound to what there was.
                current.targets();
                next.stop_beside(Some(&current.plan)).await;
                return Err(refused);
            }
        };
        self.loader.raise(current.plan.versions());
        self.live.store(view);
        self.pipelines.replace(current.plan.pipelines());
        let (wiring, config) = (&current.plan.wiring, &current.plan.config);
        self.services.flags.replace(&wiring.flags, &config.flags);
        let shown = Arc::new(Shown::of(&current.plan));
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        if let Some(ticker) = current.ticker.take() {
            ticker.stop().await;
        }
        current.ticker = Some(ticker(&current.plan, publisher, &self.node));
        leaving.drained(patience).await;
        self.retire(&old, &current.plan, before);
        Ok(())
    }

    /// Handlers are bound to the plan in force.
    async fn dispatch(
        &self,
        current: &mut Current,
    ) -> Result<coordinator_dispatch::Leaving, AppError> {
        let journal = self.services.publisher.journal();
        let served: BTreeSet<_> = self
            .dispatcher
            .handlers()
            .into_iter()
            .map(|it| it.id)
            .collect();
        current.wait(&**journal, |id| !served.contains(id)).await?;
        let targets = current.targets();
        self.dispatcher
            .apply(targets)
            .await
            .map_err(AppError::Dispatch)
    }

    /// What only `old` has is stopped when nothing runs in it any more.
    fn retire(&self, old: &Plan, now: &Plan, wiring: Arc<Wiring>) {
        let now = now.generations();
        let mut gone = old.generations();
        gone.retain(|one| !now.iter().any(|it| Arc::ptr_eq(it, one)));
        let (retiring, publisher) = (Arc::clone(&self.retiring), self.services.publisher.clone());
        self.services.io.spawn(async move {
            retiring.retire(gone).await;
            publisher.forget(&wiring);
        });
    }

    /// Takes nothing new, and waits up to `patience` for what runs.
    pub(crate) async fn drain(&self, patience: Duration) -> DrainReport {
        let ticker = async {
            // A change that hangs must not keep the host from ending.
            let current = tokio::time::timeout(patience, self.current.lock()).await;
            let ticker = current.ok().and_then(|mut current| current.ticker.take());
            if let Some(ticker) = ticker {
                ticker.stop().await;
            }
        };
        let (report, ()) = tokio::join!(self.dispatcher.drain(patience), ticker);
        report
    }

    /// Stops every plugin. Nothing may be asked of the house after it.
    pub(crate) async fn stop(&self) {
        let mut all = self.retiring.now();
        if let Ok(current) = self.current.try_lock() {
            all.extend(current.plan.generations());
        }
        for generation in all {
            generation.stop().await;
        }
        self.store.clone().close().await;
    }
}
