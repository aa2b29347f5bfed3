//! The journal under test beside what it should know.

use std::time::Duration;

use coordinator_journal::{
    Control, Deliveries, Delivery, Discard, FailureKind, HandlerSpec, Journal, Limits, NewMessage,
    Replay, Replayed, Settle, SettleOutcome, StartFrom, Verdict,
};
use coordinator_message::Timestamp;

use super::super::{ENROLLED, Harness, PAID, emit, failure, message, roomy, spec};
use super::Action;
use super::expected::{Again, HANDLERS, Message, Place, Slot, bury, difference, parked, ready};

const MINUTE: Duration = Duration::from_secs(60);
/// For a hung engine; not an expectation.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    harness: Box<dyn Harness>,
    /// `None` only while it is opened again.
    journal: Option<Box<dyn Journal>>,
    streams: Vec<Box<dyn Deliveries>>,
    messages: Vec<Message>,
    paused: [bool; 2],
}

impl World {
    pub(super) async fn new(harness: Box<dyn Harness>) -> Self {
        let mut world = Self {
            harness,
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

    fn journal(&self) -> &dyn Journal {
        self.journal.as_deref().expect("it is open between actions")
    }

    fn now(&self) -> Timestamp {
        self.harness.clock_now()
    }

    fn in_minutes(&self, minutes: u32) -> Timestamp {
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
        let now = self.now();
        let mut left = count.min(ready(&self.messages, handler, now).len());
        while left > 0 {
            let next = tokio::time::timeout(PATIENCE, self.streams[handler].next(left)).await;
            let next = next.expect("what is ready should come").unwrap();
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
        slot.place = Place::Out(Box::new(delivery));
    }

    /// The index of one that is handed out, and its delivery.
    fn out(&self, handler: usize, index: usize) -> Option<(usize, Delivery)> {
        let out = self.messages.iter().enumerate().filter_map(|(at, one)| {
            match &one.slots[handler].as_ref()?.place {
                Place::Out(delivery) => Some((at, (**delivery).clone())),
                _ => None,
            }
        });
        let out: Vec<_> = out.collect();
        (!out.is_empty()).then(|| out[index % out.len()].clone())
    }

    async fn settle_once(&self, delivery: &Delivery, verdict: Verdict) {
        let token = delivery.token.clone();
        let settle = Settle { token, verdict };
        let outcomes = self.journal().settle(vec![settle.clone()]).await.unwrap();
        assert_eq!(outcomes, [SettleOutcome::Settled]);
        let outcomes = self.journal().settle(vec![settle]).await.unwrap();
        assert_eq!(outcomes, [SettleOutcome::Stale]);
    }

    async fn ack(&mut self, handler: usize, index: usize, emits: u32) {
        let Some((at, delivery)) = self.out(handler, index) else {
            return;
        };
        let key = self.messages[at].key;
        let new = (0..emits).map(|number| {
            let mut new = emit(&delivery, number, ENROLLED, "2");
            new.envelope.key = key.map(|key| format!("key {key}"));
            // The second of a message without key is for later.
            new.deliver_at = (key.is_none() && number == 1).then(|| self.in_minutes(2));
            new
        });
        let new: Vec<_> = new.collect();
        let emits = new.clone();
        self.settle_once(&delivery, Verdict::Ack { emits }).await;
        self.slot(at, handler).end(Place::Done);
        for new in new {
            let message = Message::new(new.envelope.id, ENROLLED, key, new.deliver_at);
            self.messages.push(message);
        }
    }

    fn slot(&mut self, index: usize, handler: usize) -> &mut Slot {
        let slot = self.messages[index].slots[handler].as_mut();
        slot.expect("it is bound to the type")
    }

    async fn settle(&mut self, handler: usize, index: usize, verdict: Verdict) {
        let Some((at, delivery)) = self.out(handler, index) else {
            return;
        };
        // What parking or burying the key of a replay means is left open.
        let of_key = matches!(verdict, Verdict::Park { .. } | Verdict::DeadKey { .. });
        if of_key && !self.slot(at, handler).in_order {
            return;
        }
        self.settle_once(&delivery, verdict.clone()).await;
        let place = match verdict {
            Verdict::Ack { .. } => Place::Done,
            Verdict::Dead { .. } => Place::Dead,
            Verdict::DeadKey { .. } => {
                bury(&mut self.messages, at, handler);
                Place::Dead
            }
            Verdict::Park { .. } => parked(&self.messages[at], handler),
            Verdict::Release { due } => Place::Waiting {
                attempt: delivery.attempt,
                due: due.unwrap_or_default(),
                again: Again::Either,
            },
            Verdict::Retry { due, .. } => Place::Waiting {
                attempt: delivery.attempt + 1,
                due,
                again: Again::Yes,
            },
        };
        let slot = self.slot(at, handler);
        match place {
            Place::Done | Place::Dead => slot.end(place),
            _ => slot.place = place,
        }
    }

    /// The index of one message that is in the log.
    fn logged(&self, index: usize) -> Option<usize> {
        let now = self.now();
        let logged = (0..self.messages.len()).filter(|at| self.messages[*at].at <= now);
        let logged: Vec<_> = logged.collect();
        (!logged.is_empty()).then(|| logged[index % logged.len()])
    }

    async fn replay(&mut self, handler: Option<usize>, index: usize, minutes: Option<u32>) {
        let Some(at) = self.logged(index) else {
            return;
        };
        let open = self.messages[at].slots.iter().flatten().filter(
            |slot| matches!(slot.place, Place::Waiting { again, .. } if again == Again::Either),
        );
        if handler.is_none() && open.count() > 1 {
            // Which of the two was scheduled could not be told.
            return;
        }
        let due = minutes.map(|minutes| self.in_minutes(minutes));
        let replay = Replay {
            message: self.messages[at].id,
            handler: handler.map(|handler| HANDLERS[handler].0.to_owned()),
            due,
        };
        let answer = self.journal().replay(vec![replay]).await.unwrap()[0];
        let mut bound: Vec<_> = self.messages[at].slots.iter_mut().enumerate().collect();
        bound.retain(|(number, slot)| slot.is_some() && handler.is_none_or(|one| one == *number));
        let (mut sure, mut open) = (0, Vec::new());
        for slot in bound.iter_mut().filter_map(|(_, slot)| slot.as_mut()) {
            match slot.place {
                Place::Out(..) => {}
                Place::Waiting { again, .. } if again == Again::No => {}
                Place::Waiting { again, .. } if again == Again::Either => open.push(slot),
                _ => {
                    sure += 1;
                    slot.replayed(due.unwrap_or_default());
                }
            }
        }
        match answer {
            Replayed::NotFound => assert!(bound.is_empty()),
            Replayed::Scheduled(count) if count == sure => {}
            Replayed::Scheduled(count) if count == sure + open.len() as u64 => {
                for slot in open {
                    slot.replayed(due.unwrap_or_default());
                }
            }
            other => panic!("message {at}: {other:?}, not {sure} or {} more", open.len()),
        }
    }

    async fn discard(&mut self, handler: Option<usize>, index: usize) {
        if self.messages.is_empty() {
            return;
        }
        let at = index % self.messages.len();
        let delayed = self.messages[at].at > self.now();
        if delayed && handler.is_some() {
            return;
        }
        let discard = Discard {
            message: self.messages[at].id,
            handler: handler.map(|handler| HANDLERS[handler].0.to_owned()),
        };
        let answer = self.journal().discard(vec![discard]).await.unwrap()[0];
        if delayed {
            assert_eq!(answer, 1, "message {at} is delayed");
            self.messages.remove(at);
            return;
        }
        let mut expected = 0;
        for (number, slot) in self.messages[at].slots.iter_mut().enumerate() {
            let meant = handler.is_none_or(|one| one == number);
            if let Some(slot) = slot.as_mut().filter(|_| meant)
                && !matches!(slot.place, Place::Out(..) | Place::Done)
            {
                expected += 1;
                slot.end(Place::Done);
            }
        }
        assert_eq!(answer, expected, "message {at}");
    }

    async fn control(&mut self, handler: usize, control: Control) {
        let name = HANDLERS[handler].0;
        let answer = self.journal().control(name, control).await.unwrap();
        let mut expected = 0;
        match control {
            Control::Pause => self.paused[handler] = true,
            Control::Resume => self.paused[handler] = false,
            Control::Skip => {
                let now = self.now();
                let logged = self.messages.iter_mut().filter(|one| one.at <= now);
                for slot in logged.filter_map(|one| one.slots[handler].as_mut()) {
                    if matches!(slot.place, Place::Waiting { .. } | Place::Parked) {
                        expected += 1;
                        slot.end(Place::Done);
                    }
                }
            }
        }
        assert_eq!(answer, Some(expected), "{control:?}");
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
        if tokio::time::timeout(PATIENCE, agreed).await.is_err() {
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
                self.take(handler, 100).await;
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
