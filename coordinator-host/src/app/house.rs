//! What runs, for as long as the process does: the plan in force, and the movement that puts another in its place.
//!
//! Beside the plan in force the new one is prepared, started and probed. Then, from one moment to the next, requests,
//! deliveries and ticks begin at the new one; what had begun at the old one ends there, and then that is stopped.
//! Whatever fails before that moment leaves everything as it was.

mod swap;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coordinator_config::Config;
use coordinator_context::{Flags, Publisher, Services};
use coordinator_dispatch::{DispatchOptions, Dispatcher, DrainReport, PipelineTable};
use coordinator_gateway::Live;
use coordinator_journal::Journal;
use coordinator_loader::{Loader, Shelf, Version};
use coordinator_message::{MessageId, Timestamp};
use coordinator_store::{PluginFile, Snapshot, Store};
use coordinator_wiring::Wiring;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard, RwLock};

use super::absent::Absent;
use super::current::{Current, ticker};
use super::error::AppError;
use super::files::Files;
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
    /// Read by those who put a file there and have yet to store what it is for; tidying is for when there are none.
    shelving: RwLock<()>,
    live: Live,
    /// As operators see it, also while a change is being made.
    shown: std::sync::RwLock<Arc<Shown>>,
    retiring: Arc<Retiring>,
    /// This process, also where another one ran before it.
    node: String,
    /// The revision of another host that cannot be put in force here; 0 is none.
    behind: AtomicU64,
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
    /// Files of installed plugins that are not on this host.
    pub(super) missing: BTreeMap<String, PluginFile>,
}

/// What the house is made of.
pub(super) struct Parts {
    pub(super) loader: Loader,
    pub(super) services: Services,
    pub(super) pipelines: Arc<PipelineTable>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) store: Store,
    pub(super) shelf: Shelf,
    /// The files that the plan was to have and has not.
    pub(super) missing: BTreeMap<String, PluginFile>,
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
            shelf,
            missing,
            revision,
        } = parts;
        let mut numbers = Numbers::default();
        let against = Against {
            missing,
            ..Against::default()
        };
        plan.start(&services, &mut numbers, &against).await?;
        loader.raise(plan.versions());
        let options = DispatchOptions {
            threads: plan.config.dispatch.threads,
            redact: Arc::new(|text| coordinator_telemetry::redact(text).into_owned()),
            observer: Arc::new(observe::Metrics),
            ..DispatchOptions::default()
        };
        let absent = Absent::begin(&*journal, &plan).await;
        let mut current = Current::new(plan, numbers, revision, absent.map_err(AppError::Away)?);
        pipelines.replace(current.plan.pipelines());
        let Current { plan, absent, .. } = &mut current;
        let opened = absent.open(&*journal, plan, |_| true).await;
        opened.map_err(AppError::unopened)?;
        let targets = current.targets();
        let dispatcher = Dispatcher::start(options, journal, targets)
            .await
            .map_err(AppError::Dispatch)?;
        let node = MessageId::new(Timestamp::now()).to_string();
        current.ticker = Some(ticker(&current.plan, &services.publisher, &node));
        Ok(Self {
            loader,
            store,
            shelf,
            shelving: RwLock::default(),
            live: Live::new(current.plan.view()?),
            shown: std::sync::RwLock::new(Arc::new(Shown::of(&current.plan))),
            services,
            pipelines,
            dispatcher: Arc::new(dispatcher),
            retiring: Arc::default(),
            node,
            behind: AtomicU64::new(0),
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

    pub(super) fn publisher(&self) -> &Publisher {
        &self.services.publisher
    }

    pub(super) fn behind_counter(&self) -> &AtomicU64 {
        &self.behind
    }

    pub(super) fn shelving(&self) -> &RwLock<()> {
        &self.shelving
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
        let mut snapshot = self.store.snapshot().await.map_err(AppError::Store)?;
        let missing = self.find_files(&current.plan, &mut snapshot);
        let config = current.plan.config.reload(layer(&snapshot))?;
        super::restart::tell(&current.plan.config, &config);
        let scope = Scope {
            reread: true,
            floors: floors(&snapshot),
            missing,
            ..Scope::default()
        };
        let before = self.loader.set_trust(trust(&config)?);
        let done = match self.prepare(&mut current, config, scope).await {
            Ok(plan) => self.swap(&mut current, plan).await,
            Err(refused) => Err(refused),
        };
        match &done {
            Ok(()) => self.is_at(&mut current, snapshot.revision),
            Err(_) => drop(self.loader.set_trust(before)),
        }
        done
    }

    /// Says where the files of installed plugins are here; answers those that are not.
    pub(super) fn find_files(
        &self,
        plan: &Plan,
        snapshot: &mut Snapshot,
    ) -> BTreeMap<String, PluginFile> {
        let files = Files {
            shelf: &self.shelf,
            loader: &self.loader,
        };
        let loaded = |name: &str| {
            let installed = plan.find(name)?;
            installed.loaded()?;
            Some(installed.config.path.clone())
        };
        tokio::task::block_in_place(|| files.find(snapshot, loaded))
    }

    /// The revision of another host that cannot be put in force here, if there is one.
    pub(crate) fn behind(&self) -> Option<u64> {
        Some(self.behind.load(Ordering::Relaxed)).filter(|revision| *revision > 0)
    }

    /// Everything up to this revision is in force.
    pub(super) fn is_at(&self, current: &mut Current, revision: u64) {
        current.is_at(revision);
        self.behind.store(0, Ordering::Relaxed);
    }

    /// A plan whose plugins run, beside the one in force.
    pub(super) async fn prepare(
        &self,
        current: &mut Current,
        config: Config,
        scope: Scope,
    ) -> Result<Plan, AppError> {
        let served = current.served();
        let Current {
            plan,
            numbers,
            absent,
            ..
        } = current;
        let against = Against {
            before: Some(plan),
            reread: scope.reread,
            touched: scope.touched,
            floors: scope.floors,
            missing: scope.missing,
        };
        // Files are read and linked here, which takes its time.
        let prepared =
            tokio::task::block_in_place(|| Plan::prepare(config, &self.loader, &against));
        let mut next = prepared?;
        let journal = self.services.publisher.journal();
        let foreseen = absent.foresee(&**journal, plan, &next, &served).await;
        foreseen.map_err(AppError::Away)?;
        next.start(&self.services, numbers, &against).await?;
        Ok(next)
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
