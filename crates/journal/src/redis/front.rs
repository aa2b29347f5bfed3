//! Batching: what comes while writes are on their way goes into the next one. Nobody waits for company.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::append::Answer;
use super::codec::Item;
use super::error::StoreError;
use super::publish;
use super::settle::{self, Line, Outcome};
use super::shard::Shard;
use super::state::Shared;

/// Places in a queue; more callers wait.
const QUEUE: usize = 4096;
/// A batch is sent once it has so many messages or deliveries, even if more wait.
const ENOUGH: usize = 128;
/// Batches on their way at once, of one queue.
const FLYING: usize = 3;

/// Messages of one caller for one shard: all or nothing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) items: Vec<Item>,
    /// For other shards: into this shard's outbox, in the same write.
    pub(super) outs: Vec<Item>,
    pub(super) reply: oneshot::Sender<Result<Vec<Answer>, StoreError>>,
}

/// Settles of one caller for one shard and handler.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Has a size.
trait Weighed {
    fn size(&self) -> usize;
}

impl Weighed for Group {
    fn size(&self) -> usize {
        self.items.len() + self.outs.len()
    }
}

impl Weighed for Batch {
    fn size(&self) -> usize {
        self.lines.len()
    }
}

/// The queue of publishes of a shard.
pub(super) fn publishes(shared: &Arc<Shared>, shard: &Arc<Shard>) -> mpsc::Sender<Group> {
    let (queue, waiting) = mpsc::channel(QUEUE);
    let (shared, shard) = (shared.clone(), shard.clone());
    let closing = shared.clone();
    tokio::spawn(run(closing, waiting, move |groups| {
        publish::send(shared.clone(), shard.clone(), groups)
    }));
    queue
}

/// The queue of settles of a shard and handler.
pub(super) fn settles(
    shared: &Arc<Shared>,
    shard: &Arc<Shard>,
    handler: &Arc<str>,
) -> mpsc::Sender<Batch> {
    let (queue, waiting) = mpsc::channel(QUEUE);
    let (shared, shard, handler) = (shared.clone(), shard.clone(), handler.clone());
    let closing = shared.clone();
    tokio::spawn(run(closing, waiting, move |batches| {
        settle::send(shared.clone(), shard.clone(), handler.clone(), batches)
    }));
    queue
}

/// Ends when the journal is closed: what is in the queue then is refused.
async fn run<T, F>(shared: Arc<Shared>, mut waiting: mpsc::Receiver<T>, send: impl Fn(Vec<T>) -> F)
where
    T: Weighed + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(FLYING));
    loop {
        let first = tokio::select! {
            first = waiting.recv() => first,
            () = shared.closing() => return,
        };
        let Some(first) = first else { return };
        let place = places.clone().acquire_owned().await;
        let Ok(place) = place else { return };
        let mut size = first.size();
        let mut batch = vec![first];
        while size < ENOUGH
            && let Ok(next) = waiting.try_recv()
        {
            size += next.size();
            batch.push(next);
        }
        let sending = send(batch);
        tokio::spawn(async move {
            sending.await;
            drop(place);
        });
    }
}
