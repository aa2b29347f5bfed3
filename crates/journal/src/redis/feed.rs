//! Reads what a handler asks for: what is due, then what is new in the log.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::warn;

use super::error::StoreError;
use super::handler::{Bound, Handler, PAGE, Plan, View};
use super::held::Found;
use super::hints::AT_ONCE;
use super::state::Shared;
use super::{read, strays};

/// How long the feeder waits after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the journal is closed, or the handler is not served here any more.
pub(super) async fn run(shared: Arc<Shared>, handler: Arc<Handler>) {
    let _feeding = handler.feeding.lock().await;
    let mut failing = false;
    while !shared.is_closed() && !handler.is_shut() {
        let work = handler.work.notified();
        tokio::pin!(work);
        work.as_mut().enable();
        match handler.plan(shared.clock.now()) {
            Plan::Idle { due } => {
                let later = async {
                    match due {
                        Some(due) => shared.clock.sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = work => {}
                    () = later => {}
                    () = shared.closing() => return,
                }
            }
            Plan::Read {
                view,
                want,
                due,
                news,
            } => {
                let turn = Turn { due, news };
                let outcome = turn.look(&shared, &handler, &view, want, failing).await;
                let before = std::mem::replace(&mut failing, outcome.is_err());
                if let Err(error) = outcome {
                    turn.put_back(&handler);
                    if !before {
                        warn!(handler = &*handler.name, error = %error, "failed to read deliveries; trying again until it works");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = shared.closing() => return,
                    }
                }
            }
        }
    }
}

/// The shards of one look.
struct Turn {
    due: Vec<Bound>,
    news: Vec<Bound>,
}

impl Turn {
    /// After an error nothing is known.
    fn put_back(&self, handler: &Handler) {
        for bound in self.due.iter().chain(&self.news) {
            handler.poke(bound.shard.index);
        }
    }

    /// Reads; after a failure gives back first what the lost answer may have held.
    async fn look(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        view: &View,
        want: usize,
        failed: bool,
    ) -> Result<(), StoreError> {
        if failed {
            for bound in view.shards.values() {
                strays::give_back(shared, handler, bound).await?;
            }
        }
        self.read(shared, handler, view, want).await
    }

    /// Reads what is due, then what is new; as many shards at once as there are deliveries wanted.
    async fn read(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        view: &View,
        want: usize,
    ) -> Result<(), StoreError> {
        // Half of a page at most while there is news: late retries do not starve first tries.
        let share = if self.news.is_empty() {
            want
        } else {
            want.div_ceil(2)
        };
        let found = self.read_due(shared, handler, share).await?;
        let mut fresh = Vec::new();
        let outcome = self
            .read_news(shared, handler, view, (want - found, &mut fresh))
            .await;
        // After an error, too: it is this node's already.
        fresh.sort_by_key(|found| found.position);
        handler.deposit(fresh, shared);
        outcome
    }

    /// Answers how many were found.
    async fn read_due(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        most: usize,
    ) -> Result<usize, StoreError> {
        let (mut left, mut rest) = (most, &self.due[..]);
        while left > 0 && !rest.is_empty() {
            let (now, later) = rest.split_at(left.min(rest.len()));
            rest = later;
            let each = left / now.len();
            let looks = now
                .iter()
                .map(|bound| read::waiting(shared, handler, bound, each));
            let mut outcome = Ok(());
            for looked in join_all(looks).await {
                match looked {
                    Ok(found) => {
                        left = left.saturating_sub(found.len());
                        handler.deposit(found, shared);
                    }
                    Err(error) => outcome = Err(error),
                }
            }
            outcome?;
        }
        for bound in rest {
            handler.due(bound.shard.index, AT_ONCE);
        }
        Ok(most - left)
    }

    /// Into `fresh`, `most` at most.
    async fn read_news(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        view: &View,
        (most, fresh): (usize, &mut Vec<Found>),
    ) -> Result<(), StoreError> {
        let (mut left, mut rest) = (most, &self.news[..]);
        while left > 0 && !rest.is_empty() {
            let (now, later) = rest.split_at(left.min(rest.len()));
            rest = later;
            let each = (left / now.len()).min(PAGE);
            let looks = now.iter().map(async |bound| {
                if view.order {
                    read::in_order(shared, handler, bound, each).await
                } else {
                    read::log(shared, handler, bound, each).await
                }
            });
            let mut outcome = Ok(());
            for (bound, looked) in now.iter().zip(join_all(looks).await) {
                match looked {
                    Ok((found, more)) => {
                        left = left.saturating_sub(found.len());
                        fresh.extend(found);
                        if more {
                            handler.news(bound.shard.index);
                        }
                    }
                    Err(error) => outcome = Err(error),
                }
            }
            outcome?;
        }
        for bound in rest {
            handler.news(bound.shard.index);
        }
        Ok(())
    }
}
