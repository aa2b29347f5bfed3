//! What is handed out of what was read, in which order: under the lock, without waiting for anything.

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::{Envelope, Timestamp};

use super::cursor::Handed;
use super::deliveries::{Read, View};
use super::order::Key;
use super::state::Handler;
use super::suspects::Suspects;
use crate::{Delivery, Token};

/// Deliveries on their way out.
pub(super) struct Hand<'a> {
    pub(super) id: i64,
    pub(super) handler: &'a mut Handler,
    pub(super) fences: &'a mut u64,
    pub(super) suspects: &'a mut Suspects,
    pub(super) max: usize,
    pub(super) now: Timestamp,
    /// A suspect is out that is to be alone until then, of this handler or another.
    pub(super) tries_a_suspect: Option<Timestamp>,
    pub(super) given: Vec<Delivery>,
}

// === impl Hand ===

impl Hand<'_> {
    /// Gives exceptions that are due, and answers when the next is.
    pub(super) fn give_waiting(&mut self, view: &View, read: &Read) -> Option<Timestamp> {
        let most = view.most_waiting(self.max);
        // When what had to wait is due again, unless the other one is settled before.
        let mut later = None;
        for waiting in &read.waiting {
            let position = waiting.position;
            let cursor = &self.handler.cursor;
            // Handed out now, or when the row was read: then the row may be older than what became of it. Held: then
            // the row is newer, and becomes known in a moment.
            if view.again.contains(&position)
                || cursor.handed(position).is_some()
                || cursor.held.contains_key(&position)
            {
                continue;
            }
            if waiting.due > self.now || self.given.len() >= most {
                return earliest(later, waiting.due);
            }
            let handed = &waiting.handed;
            if let Some(until) = self.tries_a_suspect
                && self.suspects.is_to_be_alone(self.id, position, handed)
            {
                later = Some(until);
                continue;
            }
            let Some(message) = read.messages.get(&position) else {
                return earliest(later, waiting.due);
            };
            let handed = waiting.handed.clone();
            let handed = self.give(position, message.clone(), handed);
            self.handler.cursor.again.insert(position, handed);
        }
        if read.all_waiting {
            later
        } else {
            earliest(later, self.now)
        }
    }

    /// Gives what waited behind its ordering key and does not any more.
    pub(super) fn give_free(&mut self, read: &mut HashMap<u64, Arc<Envelope>>) {
        while self.given.len() < self.max {
            let handler = &mut self.handler;
            let Some(position) = handler.cursor.free.first().copied() else {
                return;
            };
            let kept = handler.window.take(position);
            let Some(message) = kept.or_else(|| read.remove(&position)) else {
                // It was freed after the view was taken, and is read with the next.
                return;
            };
            handler.cursor.free.remove(&position);
            if let Some(key) = handler.cursor.held.remove(&position) {
                self.give_fresh(position, message, Some(key));
            }
        }
    }

    /// Gives what comes next in the log, and moves the reading position. What comes then and has to wait behind its key
    /// is looked at, too: it shows as parked.
    pub(super) fn give_ready(&mut self) {
        while self.handler.cursor.room() > 0 {
            let handler = &mut self.handler;
            let enough = self.given.len() >= self.max;
            if enough
                && !handler
                    .window
                    .peek()
                    .is_some_and(|next| handler.holds_key_of(next))
            {
                break;
            }
            let Some((position, message)) = handler.window.pop() else {
                break;
            };
            let cursor = &mut handler.cursor;
            // Retention or an operator may have moved the cursor over it meanwhile.
            if position <= cursor.scanned {
                continue;
            }
            cursor.advance(position);
            if cursor.done.contains(&position) || cursor.handed(position).is_some() {
                continue;
            }
            let key = handler.key_of(&message);
            if let Some(key) = &key
                && !handler.order.enter(key, position)
            {
                handler.cursor.held.insert(position, key.clone());
                handler.window.keep(position, message);
                continue;
            }
            self.give_fresh(position, message, key);
        }
        let handler = &mut self.handler;
        if handler.window.is_empty() {
            handler.cursor.advance(handler.window.upto());
        }
    }

    /// Gives a message as its first attempt.
    fn give_fresh(&mut self, position: u64, message: Arc<Envelope>, key: Option<Arc<Key>>) {
        let handed = Handed {
            fence: 0,
            attempt: 1,
            crashes: 0,
            replay: 0,
            key,
        };
        let handed = self.give(position, message, handed);
        self.handler.cursor.fresh.insert(position, handed);
    }

    /// Gives one delivery a number of its own.
    fn give(&mut self, position: u64, message: Arc<Envelope>, mut handed: Handed) -> Handed {
        *self.fences += 1;
        handed.fence = *self.fences;
        let alone = self
            .suspects
            .hand_out(self.id, position, &mut handed, self.now);
        self.tries_a_suspect = alone.or(self.tries_a_suspect);
        self.given.push(Delivery {
            message,
            attempt: handed.attempt,
            crashes: handed.crashes,
            replay: handed.replay,
            token: Token {
                handler: self.handler.name.clone(),
                shard: 0,
                position,
                fence: handed.fence,
            },
        });
        handed
    }
}

fn earliest(one: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(one.map_or(other, |one| one.min(other)))
}
