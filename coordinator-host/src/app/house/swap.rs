//! The moment at which another plan takes the place of the one in force, or does not.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use coordinator_dispatch::Leaving;
use coordinator_gateway::LiveView;
use coordinator_wiring::Wiring;

use super::House;
use crate::app::current::{Current, ticker};
use crate::app::error::AppError;
use crate::app::plan::Plan;
use crate::app::shown::Shown;

impl House {
    /// Puts `next` in force.
    pub(in crate::app) async fn swap(
        &self,
        current: &mut Current,
        next: Plan,
    ) -> Result<(), AppError> {
        let view = match next.view() {
            Ok(view) => view,
            Err(refused) => {
                next.stop_beside(Some(&current.plan)).await;
                return Err(refused);
            }
        };
        let patience = next.config.server.drain_timeout;
        let publisher = &self.services.publisher;
        let served = current.served();
        let before = publisher.replace(&next.wiring);
        let old = std::mem::replace(&mut current.plan, next);
        let leaving = match self.dispatch(current, &served).await {
            Ok(leaving) => leaving,
            Err(refused) => {
                self.take_back(current, old, &before, &served).await;
                return Err(refused);
            }
        };
        self.reveal(&current.plan, view);
        if let Some(ticker) = current.ticker.take() {
            ticker.stop().await;
        }
        current.ticker = Some(ticker(&current.plan, publisher, &self.node));
        leaving.drained(patience).await;
        let now = current.served();
        current.absent.follow(&current.plan, served, &now);
        current.absent.tell(&**publisher.journal()).await;
        self.retire(&old, &current.plan, before);
        Ok(())
    }

    /// Handlers are bound to the plan in force.
    async fn dispatch(
        &self,
        current: &mut Current,
        served: &BTreeSet<String>,
    ) -> Result<Leaving, AppError> {
        let journal = self.services.publisher.journal();
        let Current { plan, absent, .. } = current;
        let opened = absent.open(&**journal, plan, |id| !served.contains(id));
        opened.await.map_err(AppError::unopened)?;
        let targets = current.targets();
        let applied = self.dispatcher.apply(targets).await;
        applied.map_err(AppError::Dispatch)
    }

    /// `old` is in force as before; what was opened for the other one is closed.
    async fn take_back(
        &self,
        current: &mut Current,
        old: Plan,
        before: &Arc<Wiring>,
        served: &BTreeSet<String>,
    ) {
        let publisher = &self.services.publisher;
        let next = std::mem::replace(&mut current.plan, old);
        publisher.replace(before);
        publisher.forget(before);
        publisher.forget(&next.wiring);
        let wanted = current.served();
        // What was not yet bound is bound to what there was.
        current.targets();
        current.absent.undo(&current.plan, wanted, served);
        current.absent.tell(&**publisher.journal()).await;
        next.stop_beside(Some(&current.plan)).await;
    }

    /// Requests, pipelines, flags and operators see `plan` from here on.
    fn reveal(&self, plan: &Plan, view: LiveView) {
        self.loader.raise(plan.versions());
        self.live.store(view);
        self.pipelines.replace(plan.pipelines());
        let flags = &self.services.flags;
        flags.replace(&plan.wiring.flags, &plan.config.flags);
        let shown = Arc::new(Shown::of(plan));
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
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
}
