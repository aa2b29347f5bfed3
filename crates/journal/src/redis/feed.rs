//! Reads what a handler asks for: what is due, then what is new in the log.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::warn;

use super::error::StoreError;
use super::handler::{Bound, Handler, PAGE, Plan, View};
use super::hints::AT_ONCE;
use super::state::Shared;
use super::{read, strays};

/// How long the feeder waits after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the journal is closed.
pub(super) async fn run(shared: Arc<Shared>, handler: Arc<Handler>) {
    let mut failing = false;
    while !shared.is_closed() {
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

    /// Reads all of them at once: what is due, then what is new.
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
        let left = want - self.read_due(shared, handler, share).await?;
        self.read_news(shared, handler, view, left).await
    }

    /// Answers how many were found.
    async fn read_due(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        most: usize,
    ) -> Result<usize, StoreError> {
        let (now, later) = self.due.split_at(most.min(self.due.len()));
        for bound in later {
            handler.due(bound.shard.index, AT_ONCE);
        }
        let each = most / now.len().max(1);
        let looks = now
            .iter()
            .map(|bound| read::waiting(shared, handler, bound, each));
        let (mut count, mut outcome) = (0, Ok(()));
        for looked in join_all(looks).await {
            match looked {
                Ok(found) => {
                    count += found.len();
                    handler.deposit(found, shared);
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome.map(|()| count)
    }

    async fn read_news(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        view: &View,
        most: usize,
    ) -> Result<(), StoreError> {
        let (now, later) = self.news.split_at(most.min(self.news.len()));
        for bound in later {
            handler.news(bound.shard.index);
        }
        let each = (most / now.len().max(1)).min(PAGE);
        let looks = now.iter().map(async |bound| {
            if view.order {
                read::in_order(shared, handler, bound, each).await
            } else {
                read::log(shared, handler, bound, each).await
            }
        });
        let (mut fresh, mut outcome) = (Vec::new(), Ok(()));
        for (bound, looked) in now.iter().zip(join_all(looks).await) {
            match looked {
                Ok((found, more)) => {
                    fresh.extend(found);
                    if more {
                        handler.news(bound.shard.index);
                    }
                }
                // What other shards gave is this node's already.
                Err(error) => outcome = Err(error),
            }
        }
        fresh.sort_by_key(|found| found.position);
        handler.deposit(fresh, shared);
        outcome
    }
}
