//! The slots of one handler: which deliveries run, which wait, and that first tries always find a slot.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use coordinator_journal::Delivery;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tracing::{Instrument, info_span};

use crate::attempt::{Surroundings, attempt};
use crate::handler::Handler;

/// Deliveries of one handler that run or wait. All of them are polled by whoever polls this: see `watch`.
pub(crate) struct Slots {
    handler: Arc<Handler>,
    around: Arc<Surroundings>,
    max_waiting: usize,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Turn> + Send>>>,
    /// Running retries.
    retrying: usize,
    first_tries: VecDeque<Delivery>,
    retries: VecDeque<Delivery>,
    /// Size of the next page.
    page: usize,
    /// When the last page came.
    paged: Instant,
}

/// Deliveries to ask the journal for, at least and at most. In a page of one it could not mix due retries with news.
const SMALLEST_PAGE: usize = 2;
const LARGEST_PAGE: usize = 64;
/// A handler that gets through a page in this time is given a larger one: reading few at a time costs more than
/// running them. What waits in memory stays about as much as it does in twice this time.
const MOMENT: Duration = Duration::from_millis(50);

/// Whether an attempt is the first one of its delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Retry,
}

impl Slots {
    pub(crate) fn new(
        handler: Arc<Handler>,
        around: Arc<Surroundings>,
        max_waiting: usize,
    ) -> Self {
        Self {
            handler,
            around,
            max_waiting: max_waiting.max(1),
            in_flight: FuturesUnordered::new(),
            retrying: 0,
            first_tries: VecDeque::new(),
            retries: VecDeque::new(),
            page: SMALLEST_PAGE,
            paged: Instant::now(),
        }
    }

    /// How many more deliveries to take from the journal now.
    pub(crate) fn room(&self) -> usize {
        let spoken_for = self.in_flight.len() + self.first_tries.len();
        let free = self.handler.concurrency().saturating_sub(spoken_for);
        if free == 0 || self.handler.is_paused() || self.retries.len() >= self.max_waiting {
            0
        } else {
            free.max(self.page)
        }
    }

    /// Takes deliveries in and starts what there are slots for.
    pub(crate) fn take(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            match turn(&delivery) {
                Turn::First => self.first_tries.push_back(delivery),
                Turn::Retry => self.retries.push_back(delivery),
            }
        }
        let quick = self.paged.elapsed() < MOMENT;
        self.page = if quick {
            (self.page * 2).min(LARGEST_PAGE)
        } else {
            SMALLEST_PAGE
        };
        self.paged = Instant::now();
        self.start();
    }

    /// Starts what waits, as far as there are slots. Retries go first within their share: they are the older ones.
    pub(crate) fn start(&mut self) {
        let slots = self.handler.concurrency();
        while !self.handler.is_paused() && self.in_flight.len() < slots {
            let retry = if self.retrying < retry_share(slots) {
                self.retries.pop_front()
            } else {
                None
            };
            let Some(delivery) = retry.or_else(|| self.first_tries.pop_front()) else {
                break;
            };
            self.run(delivery);
        }
        self.gauge();
    }

    fn run(&mut self, delivery: Delivery) {
        let turn = turn(&delivery);
        self.retrying += usize::from(turn == Turn::Retry);
        let span = info_span!(
            parent: None,
            "deliver",
            handler.name = self.handler.id(),
            cloudevents.event_id = %delivery.message.id,
            cloudevents.event_type = %delivery.message.ty,
            attempt = delivery.attempt,
        );
        let attempt = attempt(
            Arc::clone(&self.handler),
            delivery,
            Arc::clone(&self.around),
        );
        self.in_flight.push(Box::pin(
            async move {
                attempt.await;
                turn
            }
            .instrument(span),
        ));
    }

    /// Waits until an attempt has ended, and gives its slot to what waits; pending for ever if none runs.
    pub(crate) async fn ended(&mut self) {
        let Some(turn) = self.in_flight.next().await else {
            return std::future::pending().await;
        };
        self.retrying -= usize::from(turn == Turn::Retry);
        self.start();
    }

    /// Forgets what waits: nothing of it was begun, so it is delivered again after the next start.
    pub(crate) fn forget_waiting(&mut self) {
        self.first_tries.clear();
        self.retries.clear();
        self.gauge();
    }

    /// Running deliveries.
    pub(crate) fn running(&self) -> usize {
        self.in_flight.len()
    }

    fn gauge(&self) {
        self.handler
            .running
            .store(self.in_flight.len(), Ordering::Relaxed);
        self.handler.waiting.store(
            self.first_tries.len() + self.retries.len(),
            Ordering::Relaxed,
        );
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.in_flight.clear();
        self.forget_waiting();
    }
}

fn turn(delivery: &Delivery) -> Turn {
    if delivery.attempt > 1 {
        Turn::Retry
    } else {
        Turn::First
    }
}

/// Slots that retries may take: all but a quarter, and all but one at least, so that a backlog of late retries
/// never keeps new messages out. With a single slot there is nothing to share.
fn retry_share(slots: usize) -> usize {
    if slots > 1 {
        slots - (slots / 4).max(1)
    } else {
        slots
    }
}
