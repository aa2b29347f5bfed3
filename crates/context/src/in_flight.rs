//! Who is inside of one generation of a plugin: it is stopped when the last one has left, and nobody enters after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The calls that are inside.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// How many; all bits set once it is closed.
    count: AtomicUsize,
    /// Somebody was the last to leave.
    empty: Notify,
}

const CLOSED: usize = usize::MAX;

/// The right to be inside, until it is dropped.
#[derive(Debug)]
#[must_use = "who holds it keeps the plugin from being stopped"]
pub struct Pass(Option<Arc<Inside>>);

impl Pass {
    /// For what is never stopped.
    pub fn unbounded() -> Self {
        Self(None)
    }
}

impl InFlight {
    /// Enters; `None` once it is closed.
    pub(crate) fn enter(&self) -> Option<Pass> {
        let count = &self.0.count;
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count != CLOSED).then(|| count + 1)
            })
            .is_ok()
            .then(|| Pass(Some(Arc::clone(&self.0))))
    }

    /// How many are inside.
    pub(crate) fn count(&self) -> usize {
        match self.0.count.load(Ordering::Acquire) {
            CLOSED => 0,
            count => count,
        }
    }

    /// Waits until nobody is inside, and lets nobody enter from that moment on.
    pub(crate) async fn close(&self) {
        loop {
            let empty = self.0.empty.notified();
            let closed =
                self.0
                    .count
                    .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire);
            match closed {
                Ok(_) | Err(CLOSED) => return,
                Err(_) => empty.await,
            }
        }
    }

    /// Lets nobody enter from now on, whoever is inside.
    pub(crate) fn shut(&self) {
        self.0.count.store(CLOSED, Ordering::Release);
        self.0.empty.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(inside) = &self.0 else {
            return;
        };
        let left = inside
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                // Shut while it was inside: there is nothing to count any more.
                (count != CLOSED).then(|| count - 1)
            });
        if left == Ok(1) {
            inside.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_closes_when_the_last_one_leaves_and_nobody_enters_after_that() {
        let inside = Arc::new(InFlight::default());
        let (first, second) = (inside.enter().unwrap(), inside.enter().unwrap());
        let closing = tokio::spawn({
            let inside = Arc::clone(&inside);
            async move { inside.close().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert_eq!(inside.count(), 1);
        let late = inside
            .enter()
            .expect("it is not closed while one is inside");
        drop((second, late));
        closing.await.unwrap();
        assert!(inside.enter().is_none());
        inside.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_pass_outlives_the_closing_whoever_races() {
        use std::sync::atomic::AtomicBool;
        for _ in 0..200 {
            let inside = Arc::new(InFlight::default());
            let stopped = Arc::new(AtomicBool::new(false));
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    let (inside, stopped) = (Arc::clone(&inside), Arc::clone(&stopped));
                    tokio::spawn(async move {
                        while let Some(pass) = inside.enter() {
                            assert!(!stopped.load(Ordering::SeqCst), "entered after the stop");
                            tokio::task::yield_now().await;
                            assert!(!stopped.load(Ordering::SeqCst), "stopped while inside");
                            drop(pass);
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            inside.close().await;
            stopped.store(true, Ordering::SeqCst);
            for racer in racers {
                racer.await.unwrap();
            }
        }
    }
}
