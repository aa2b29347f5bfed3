//! What operators do, in the journal and in the model.

use coordinator_journal::{Control, Discard, Replay, Replayed};

use super::expected::{Again, HANDLERS, Place};
use super::world::World;

impl World {
    /// The index of one message that is in the log.
    fn logged(&self, index: usize) -> Option<usize> {
        let now = self.now();
        let logged = (0..self.messages.len()).filter(|at| self.messages[*at].at <= now);
        let logged: Vec<_> = logged.collect();
        (!logged.is_empty()).then(|| logged[index % logged.len()])
    }

    pub(super) async fn replay(
        &mut self,
        handler: Option<usize>,
        index: usize,
        minutes: Option<u32>,
    ) {
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
                Place::Waiting {
                    again: Again::No, ..
                } => {}
                Place::Waiting {
                    again: Again::Either,
                    ..
                } => open.push(slot),
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

    pub(super) async fn discard(&mut self, handler: Option<usize>, index: usize) {
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

    pub(super) async fn control(&mut self, handler: usize, control: Control) {
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
}
