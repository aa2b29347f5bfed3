//! Reads what a handler asks for: what is due, then what is new in the log.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::error::StoreError;
use super::handler::{Bound, Handler, PAGE, Plan, View};
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
            Plan::Idle { due, hungry } => {
                if hungry && let Some(view) = handler.view() {
                    for bound in &view.shards {
                        bound.shard.armed.notify_one();
                    }
                }
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
            for bound in &view.shards {
                strays::give_back(shared, handler, bound).await?;
            }
        }
        self.read(shared, handler, view, want).await
    }

    async fn read(
        &self,
        shared: &Arc<Shared>,
        handler: &Handler,
        view: &View,
        want: usize,
    ) -> Result<(), StoreError> {
        let mut left = want;
        // Half of a page at most while there is news: late retries do not starve first tries.
        let mut share = if self.news.is_empty() {
            want
        } else {
            want.div_ceil(2)
        };
        for bound in &self.due {
            if share == 0 {
                handler.poke(bound.shard.index);
                continue;
            }
            let found = read::waiting(shared, handler, bound, share).await?;
            share = share.saturating_sub(found.len());
            left = left.saturating_sub(found.len());
            handler.deposit(found, shared);
        }
        let mut fresh = Vec::new();
        for bound in &self.news {
            let index = bound.shard.index;
            if left == 0 {
                handler.news(index);
                continue;
            }
            let ask = left.min(PAGE);
            let looked = if view.order {
                read::in_order(shared, handler, bound, ask).await
            } else {
                read::log(shared, handler, bound, ask).await
            };
            match looked {
                Ok((found, more)) => {
                    left = left.saturating_sub(found.len());
                    fresh.extend(found);
                    if more {
                        handler.news(index);
                    }
                }
                Err(error) => {
                    // What other shards gave is this node's already.
                    handler.deposit(fresh, shared);
                    return Err(error);
                }
            }
        }
        fresh.sort_by_key(|found| found.position);
        handler.deposit(fresh, shared);
        Ok(())
    }
}
