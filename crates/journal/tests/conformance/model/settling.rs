//! Settling what is handed out, in the journal and in the model.

use coordinator_journal::{Delivery, Settle, SettleOutcome, Verdict};

use super::super::{ENROLLED, emit};
use super::expected::{Again, Message, Place, SUSPECT, Slot, bury, parked};
use super::world::World;

impl World {
    /// The index of one that is handed out, and its delivery.
    pub(super) fn out(&self, handler: usize, index: usize) -> Option<(usize, Delivery)> {
        let out = self.messages.iter().enumerate().filter_map(|(at, one)| {
            match &one.slots[handler].as_ref()?.place {
                Place::Out(delivery) => Some((at, (**delivery).clone())),
                _ => None,
            }
        });
        let out: Vec<_> = out.collect();
        (!out.is_empty()).then(|| out[index % out.len()].clone())
    }

    pub(super) async fn settle_once(&self, delivery: &Delivery, verdict: Verdict) {
        let token = delivery.token.clone();
        let settle = Settle { token, verdict };
        let outcomes = self.journal().settle(vec![settle.clone()]).await.unwrap();
        assert_eq!(outcomes, [SettleOutcome::Settled]);
        let outcomes = self.journal().settle(vec![settle]).await.unwrap();
        assert_eq!(outcomes, [SettleOutcome::Stale]);
    }

    pub(super) async fn ack(&mut self, handler: usize, index: usize, emits: u32) {
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

    pub(super) fn slot(&mut self, index: usize, handler: usize) -> &mut Slot {
        let slot = self.messages[index].slots[handler].as_mut();
        slot.expect("it is bound to the type")
    }

    pub(super) async fn settle(&mut self, handler: usize, index: usize, verdict: Verdict) {
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
        slot.crashes = delivery.crashes;
        slot.suspect = delivery.crashes >= SUSPECT;
        match place {
            Place::Done | Place::Dead => slot.end(place),
            _ => slot.place = place,
        }
    }
}
