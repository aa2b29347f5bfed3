//! Deliveries of one handler that wait in memory, and whose turn it is: late retries never starve first tries.

use std::collections::VecDeque;

use coordinator_journal::Delivery;

/// Whether an attempt is the first one of its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    Retry,
}

/// What waits.
#[derive(Default)]
pub(crate) struct Waiting {
    first_tries: VecDeque<Delivery>,
    retries: VecDeque<Delivery>,
    /// Whose turn it was last.
    last: Option<Turn>,
}

impl Turn {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        if delivery.attempt > 1 {
            Self::Retry
        } else {
            Self::First
        }
    }
}

impl Waiting {
    pub(crate) fn push(&mut self, delivery: Delivery) {
        match Turn::of(&delivery) {
            Turn::First => self.first_tries.push_back(delivery),
            Turn::Retry => self.retries.push_back(delivery),
        }
    }

    /// The next one to run, of a handler with so many slots and running retries. Retries go first within their
    /// share: they are the older ones. With a single slot there is no share, and they take turns.
    pub(crate) fn pop(&mut self, retrying: usize, slots: usize) -> Option<Delivery> {
        let yields = slots == 1 && self.last == Some(Turn::Retry) && !self.first_tries.is_empty();
        let retry = if retrying < retry_share(slots) && !yields {
            self.retries.pop_front()
        } else {
            None
        };
        let delivery = retry.or_else(|| self.first_tries.pop_front())?;
        self.last = Some(Turn::of(&delivery));
        Some(delivery)
    }

    /// The retry that came last.
    pub(crate) fn pop_last_retry(&mut self) -> Option<Delivery> {
        self.retries.pop_back()
    }

    /// Any of them.
    pub(crate) fn pop_any(&mut self) -> Option<Delivery> {
        self.retries
            .pop_front()
            .or_else(|| self.first_tries.pop_front())
    }

    pub(crate) fn first_tries(&self) -> usize {
        self.first_tries.len()
    }

    pub(crate) fn retries(&self) -> usize {
        self.retries.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.first_tries.len() + self.retries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Slots that retries may take: all but a quarter, and all but one at least, so that a backlog of late retries
/// never keeps new messages out.
fn retry_share(slots: usize) -> usize {
    if slots > 1 {
        slots - (slots / 4).max(1)
    } else {
        slots
    }
}
