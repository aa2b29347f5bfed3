//! The journal under test beside what it should know.

use std::time::{Duration, Instant};

use coordinator_journal::{
    Control, Deliveries, Delivery, FailureKind, HandlerSpec, Journal, Limits, NewMessage,
    StartFrom, Verdict,
};
use coordinator_message::Timestamp;

use super::super::{Harness, PAID, failure, message, roomy, spec};
use super::Action;
use super::expected::{Again, HANDLERS, Message, Place, SUSPECT, difference, ready, sure};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct World {
    pub(super) harness: Box<dyn Harness>,
    /// For a hung engine; not an expectation.
    patience: Duration,
    /// `None` only while it is opened again.
    pub(super) journal: Option<Box<dyn Journal>>,
    pub(super) streams: Vec<Box<dyn Deliveries>>,
    pub(super) messages: Vec<Message>,
    pub(super) paused: [bool; 2],
}

impl World {
    pub(super) async fn new(harness: Box<dyn Harness>, patience: Duration) -> Self {
        let mut world = Self {
            harness,
            patience,
            journal: None,
            streams: Vec::new(),
            messages: Vec::new(),
            paused: [false; 2],
        };
        world.open().await;
        world
    }

    async fn open(&mut self) {
        let limits = Limits {
            retention: MINUTE * 100_000,
            ..roomy()
        };
        let journal = self.harness.open(limits).await;
        for (id, types, order) in HANDLERS {
            let spec = HandlerSpec {
                order,
                ..spec(id, types, StartFrom::Now)
            };
            self.streams.push(journal.open(spec).await.unwrap());
        }
        self.journal = Some(journal);
    }

    pub(super) fn journal(&self) -> &dyn Journal {
        self.journal.as_deref().expect("it is open between actions")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.harness.clock_now()
    }

    pub(super) fn in_minutes(&self, minutes: u32) -> Timestamp {
        self.now().after(MINUTE * minutes)
    }

    pub(super) async fn act(&mut self, action: Action) {
        let failure = failure(FailureKind::Retry, "busy");
        match action {
            Action::Publish(keys) => self.publish(&keys).await,
            Action::Delay(minutes) => self.delay(minutes).await,
            Action::Take(handler, count) => self.take(handler, count).await,
            Action::Ack {
                handler,
                index,
                emits,
            } => self.ack(handler, index, emits).await,
            Action::Retry(handler, index, minutes) => {
                let due = self.in_minutes(minutes);
                let verdict = Verdict::Retry { due, failure };
                self.settle(handler, index, verdict).await;
            }
            Action::Kill(handler, index) => {
                self.settle(handler, index, Verdict::Dead { failure }).await;
            }
            Action::Park(handler, index) => {
                self.settle(handler, index, Verdict::Park { failure }).await;
            }
            Action::DeadKey(handler, index) => {
                let verdict = Verdict::DeadKey { failure };
                self.settle(handler, index, verdict).await;
            }
            Action::Release(handler, index, minutes) => {
                let due = minutes.map(|minutes| self.in_minutes(minutes));
                self.settle(handler, index, Verdict::Release { due }).await;
            }
            Action::Replay(handler, index, minutes) => self.replay(handler, index, minutes).await,
            Action::Discard(handler, index) => self.discard(handler, index).await,
            Action::Pause(handler) => self.control(handler, Control::Pause).await,
            Action::Resume(handler) => self.control(handler, Control::Resume).await,
            Action::Skip(handler) => self.control(handler, Control::Skip).await,
            Action::Advance(minutes) => self.advance(minutes),
            Action::Restart => self.again(false).await,
            Action::Crash => self.again(true).await,
        }
    }

    async fn publish(&mut self, keys: &[Option<u8>]) {
        let batch = keys.iter().map(|key| {
            let mut new = message(PAID, "1");
            new.envelope.key = key.map(|key| format!("key {key}"));
            new
        });
        let receipts = self.journal().publish(batch.collect()).await.unwrap();
        for (receipt, key) in receipts.iter().zip(keys) {
            let message = Message::new(receipt.id, PAID, *key, None);
            self.messages.push(message);
        }
    }

    async fn delay(&mut self, minutes: u32) {
        let at = Some(self.in_minutes(minutes));
        let new = NewMessage {
            deliver_at: at,
            ..message(PAID, "1")
        };
        let receipt = self.journal().publish(vec![new]).await.unwrap().remove(0);
        self.messages.push(Message::new(receipt.id, PAID, None, at));
    }

    /// Takes at most `count` of what the model says is there: it would wait for ever for more.
    async fn take(&mut self, handler: usize, count: usize) {
        if self.paused[handler] {
            return;
        }
        let sure = sure(&self.messages, handler, self.now());
        self.take_all(handler, count.min(sure), self.patience).await;
    }

    /// Time goes on by a second whenever nothing has come for `step`.
    async fn take_all(&mut self, handler: usize, mut left: usize, step: Duration) {
        let begun = Instant::now();
        while left > 0 {
            let next = tokio::time::timeout(step, self.streams[handler].next(left)).await;
            let Ok(next) = next else {
                assert!(begun.elapsed() < self.patience, "what is ready should come");
                self.harness.clock().advance(Duration::from_secs(1));
                continue;
            };
            let next = next.unwrap();
            assert!(next.len() <= left, "more came than were asked for");
            left -= next.len();
            for delivery in next {
                self.came(handler, delivery);
            }
        }
    }

    fn came(&mut self, handler: usize, delivery: Delivery) {
        let index = self
            .messages
            .iter()
            .position(|one| one.id == delivery.message.id);
        let index = index.expect("what comes was published");
        let ready = ready(&self.messages, handler, self.harness.clock_now());
        let slot = self.messages[index].slots[handler].as_mut();
        let slot = slot.expect("it is bound to the type");
        let Place::Waiting { attempt, .. } = slot.place else {
            panic!("message {index} came while it was {:?}", slot.place);
        };
        assert!(
            ready.contains(&index),
            "message {index} came too early: {slot:?}"
        );
        let found = (delivery.attempt, delivery.replay);
        assert_eq!(found, (attempt, slot.replay), "message {index}");
        assert!(
            delivery.crashes >= slot.crashes,
            "message {index}: {slot:?}"
        );
        slot.suspect = false;
        slot.place = Place::Out(Box::new(delivery));
    }

    fn advance(&mut self, minutes: u32) {
        self.harness.clock().advance(MINUTE * minutes);
    }

    /// What was handed out comes again, as the same attempt.
    async fn again(&mut self, crash: bool) {
        self.streams.clear();
        let journal = self.journal.take().expect("it is open between actions");
        if crash {
            self.harness.crash(journal).await;
        } else {
            journal.close().await;
        }
        self.open().await;
        let slots = self.messages.iter_mut().flat_map(|one| &mut one.slots);
        for slot in slots.flatten() {
            if let Place::Out(delivery) = &slot.place {
                slot.crashes = delivery.crashes + u32::from(crash);
                slot.suspect = slot.crashes >= SUSPECT;
                slot.place = Place::Waiting {
                    attempt: delivery.attempt,
                    due: Timestamp::default(),
                    again: Again::Either,
                };
            }
        }
    }

    /// The counts agree, at the latest when what the engine does by itself is done.
    pub(super) async fn check(&self) {
        let agreed = async {
            loop {
                let stats = self.journal().stats().await.unwrap();
                if difference(&stats, &self.messages, self.paused, self.now()).is_none() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(self.patience, agreed).await.is_err() {
            let stats = self.journal().stats().await.unwrap();
            let wrong = difference(&stats, &self.messages, self.paused, self.now());
            panic!("{}", wrong.unwrap_or_default());
        }
    }

    /// Everything that waits comes in the end, and nothing else.
    pub(super) async fn finish(mut self) {
        self.again(true).await;
        for handler in 0..HANDLERS.len() {
            self.control(handler, Control::Resume).await;
        }
        self.advance(60);
        self.check().await;
        self.publish(&[Some(0), None]).await;
        for handler in 0..HANDLERS.len() {
            while !ready(&self.messages, handler, self.now()).is_empty() {
                // Of suspects one comes, for nothing is handed out.
                let sure = sure(&self.messages, handler, self.now());
                self.take_all(handler, sure.max(1), self.patience / 100)
                    .await;
                while let Some((at, delivery)) = self.out(handler, 0) {
                    let emits = Vec::new();
                    self.settle_once(&delivery, Verdict::Ack { emits }).await;
                    self.slot(at, handler).end(Place::Done);
                }
            }
        }
        self.check().await;
        self.journal().close().await;
    }
}
