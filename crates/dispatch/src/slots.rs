//! The slots of one handler: which deliveries run, which wait, and that first tries always find a slot.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use coordinator_journal::{Delivery, Settle, Verdict};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tracing::{Instrument, info_span};

use crate::attempt::{Surroundings, attempt};
use crate::breaker::Gate;
use crate::handler::Handler;
use crate::rate::RateLimit;
use crate::waiting::{Turn, Waiting};

/// Deliveries of one handler that run or wait. All of them are polled by whoever polls this: see `watch`.
pub(crate) struct Slots {
    handler: Arc<Handler>,
    around: Arc<Surroundings>,
    max_waiting: usize,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Turn> + Send>>>,
    /// Running retries.
    retrying: usize,
    waiting: Waiting,
    rate: Option<RateLimit>,
    /// Size of the next page.
    page: usize,
    /// When the last page came.
    paged: Instant,
    /// No page is asked for before.
    lull: Option<Instant>,
    /// When to look again, though nothing has happened.
    look: Option<Instant>,
}

/// Deliveries to ask the journal for, at least and at most. In a page of one it could not mix due retries with news.
const SMALLEST_PAGE: usize = 2;
const LARGEST_PAGE: usize = 64;
/// A handler that gets through a page in this time is given a larger one: reading few at a time costs more than
/// running them. What waits in memory stays about as much as it does in twice this time.
const MOMENT: Duration = Duration::from_millis(50);
/// Between two pages, while more retries are due than may wait in memory and nothing new is there.
const LULL: Duration = Duration::from_millis(250);
/// A retry for which there is no place in memory is due again after this time.
const NO_PLACE: Duration = Duration::from_secs(10);

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
            waiting: Waiting::default(),
            rate: None,
            page: SMALLEST_PAGE,
            paged: Instant::now(),
            lull: None,
            look: None,
        }
    }

    /// How many more deliveries to take from the journal now.
    pub(crate) fn room(&self) -> usize {
        let spoken_for = self.in_flight.len() + self.waiting.first_tries();
        let free = self.handler.concurrency().saturating_sub(spoken_for);
        let full = self.waiting.retries() >= self.max_waiting.saturating_mul(2);
        let now = Instant::now();
        if free == 0 || full || self.handler.is_paused() || self.lull(now).is_some() {
            return 0;
        }
        match self.handler.guard.gate(now) {
            Gate::Pass if self.waiting.retries() >= self.max_waiting => SMALLEST_PAGE,
            Gate::Pass => free.max(self.page),
            Gate::Probe if self.waiting.is_empty() => SMALLEST_PAGE,
            Gate::Probe | Gate::Wait(_) => 0,
        }
    }

    fn lull(&self, now: Instant) -> Option<Instant> {
        self.lull.filter(|end| *end > now)
    }

    /// Takes deliveries in and starts what there are slots for.
    pub(crate) fn take(&mut self, deliveries: Vec<Delivery>) {
        let nothing_new = !deliveries.iter().any(|one| Turn::of(one) == Turn::First);
        for delivery in deliveries {
            self.waiting.push(delivery);
        }
        let quick = self.paged.elapsed() < MOMENT;
        self.page = if quick {
            (self.page * 2).min(LARGEST_PAGE)
        } else {
            SMALLEST_PAGE
        };
        self.paged = Instant::now();
        if nothing_new && self.waiting.retries() > self.max_waiting {
            self.lull = Some(Instant::now() + LULL);
        }
        self.start();
    }

    /// Late retries must not keep new messages out, so those for which there is no place go back to the journal.
    fn make_place(&mut self) {
        let due = self.around.clock.now().after(NO_PLACE);
        while self.waiting.retries() > self.max_waiting
            && let Some(delivery) = self.waiting.pop_last_retry()
        {
            if let Err(delivery) = self.give_back(delivery, Some(due)) {
                // Too many verdicts wait to be written: soon.
                self.waiting.push(delivery);
                self.lull = Some(Instant::now() + LULL);
                break;
            }
        }
    }

    /// Starts what waits, as far as there are slots, and rate and breaker allow.
    ///
    /// All of it at one moment: what is over for the one question must not be still going on for the other.
    pub(crate) fn start(&mut self) {
        let now = Instant::now();
        self.follow_rate();
        if self.handler.is_paused() {
            self.hand_in();
        } else {
            while self.may_begin(now) {
                let slots = self.handler.concurrency();
                let Some(delivery) = self.waiting.pop(self.retrying, slots) else {
                    break;
                };
                self.run(delivery, now);
            }
            self.make_place();
        }
        self.schedule_look(now);
        self.gauge();
    }

    /// The terms may have changed. Starts under the old rate count under the new one.
    fn follow_rate(&mut self) {
        let wanted = self.handler.bound().terms.rate;
        match (&mut self.rate, wanted) {
            (Some(limit), Some(rate)) => limit.follow(rate),
            (limit, rate) => *limit = rate.map(RateLimit::new),
        }
    }

    fn may_begin(&mut self, now: Instant) -> bool {
        self.in_flight.len() < self.handler.concurrency()
            && !self.waiting.is_empty()
            && !matches!(self.handler.guard.gate(now), Gate::Wait(_))
            && self.rate_allows_at(now).is_none()
    }

    fn rate_allows_at(&mut self, now: Instant) -> Option<Instant> {
        self.rate.as_mut().and_then(|rate| rate.free_at(now))
    }

    /// What ends by itself, with nobody to say so: an open breaker, a rate that is used up, a lull.
    fn schedule_look(&mut self, now: Instant) {
        let breaker = match self.handler.guard.gate(now) {
            Gate::Wait(until) => until,
            Gate::Pass | Gate::Probe => None,
        };
        let full = self.in_flight.len() >= self.handler.concurrency();
        let rate = if self.waiting.is_empty() || full {
            None
        } else {
            self.rate_allows_at(now)
        };
        self.look = [breaker, rate, self.lull(now)].into_iter().flatten().min();
    }

    fn run(&mut self, delivery: Delivery, now: Instant) {
        let turn = Turn::of(&delivery);
        self.retrying += usize::from(turn == Turn::Retry);
        let probe = self.handler.guard.begin(now);
        if let Some(rate) = &mut self.rate {
            rate.begun(now);
        }
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
            probe,
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

    /// Waits until an attempt has ended, or it is time to look, and starts what may start then.
    pub(crate) async fn progress(&mut self) {
        let look = self.look;
        let look = async move {
            match look {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(turn) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                self.retrying -= usize::from(turn == Turn::Retry);
            }
            () = look => {}
        }
        self.start();
    }

    /// Gives what waits back to the journal while the handler is paused, so that an operator who skips or discards
    /// finds all that has not begun.
    fn hand_in(&mut self) {
        while let Some(delivery) = self.waiting.pop_any() {
            if let Err(delivery) = self.give_back(delivery, None) {
                self.waiting.push(delivery);
                break;
            }
        }
    }

    /// Gives one delivery back; it comes again if too many verdicts wait already.
    fn give_back(
        &self,
        delivery: Delivery,
        due: Option<coordinator_message::Timestamp>,
    ) -> Result<(), Delivery> {
        let Ok(place) = Arc::clone(&self.handler.unsettled).try_acquire_owned() else {
            return Err(delivery);
        };
        let around = Arc::clone(&self.around);
        let settle = Settle {
            token: delivery.token,
            verdict: Verdict::Release { due },
        };
        tokio::spawn(async move { around.settles.send(settle, place).await });
        Ok(())
    }

    /// Forgets what waits: nothing of it was begun, so it is delivered again after the next start.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting = Waiting::default();
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
        self.handler
            .waiting
            .store(self.waiting.len(), Ordering::Relaxed);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.in_flight.clear();
        self.forget_waiting();
    }
}
