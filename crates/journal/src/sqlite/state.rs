//! What the engine knows without asking the database. The writer alone changes what is durable of it, after a commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coordinator_message::{Envelope, MessageType, Timestamp};
use sea_orm::sqlx::SqlitePool;
use tokio::sync::Notify;

use super::cursor::{Cursor, Handed};
use super::order::{Key, Order};
use super::running::Running;
use super::suspects::Suspects;
use super::window::Window;
use crate::{Clock, Durability, Limits};

/// Shared by the journal, its writer and its streams.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) durability: Durability,
    pub(super) readers: SqlitePool,
    /// When this process opened the journal.
    pub(super) opened: Timestamp,
    /// Tells the writer that some handler's window is full of what waits behind its keys.
    pub(super) crowded: Notify,
    /// What is handed out, for the next process.
    pub(super) running: Running,
    state: Mutex<State>,
}

/// Everything below the lock. Held for moments, never over an await.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Position of the last message.
    pub(super) head: u64,
    /// When it was accepted.
    pub(super) accepted: Timestamp,
    /// Messages in the log.
    pub(super) messages: u64,
    /// Messages whose time has not come.
    pub(super) delayed: u64,
    /// When the first of them is due.
    pub(super) next_delayed: Option<Timestamp>,
    /// Bytes in use: measured now and then, counted up in between.
    pub(super) size: u64,
    /// Copied when a new type comes, so that readers may keep one.
    pub(super) types: Arc<Types>,
    pub(super) handlers: BTreeMap<i64, Handler>,
    /// Set once; streams end then.
    pub(super) closed: bool,
    /// Counts what was handed out: no two have the same number.
    pub(super) fences: u64,
    /// What may have killed the process before this one.
    pub(super) suspects: Suspects,
}

/// Message types and their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    names: HashMap<i64, MessageType>,
    ids: HashMap<MessageType, i64>,
}

/// One handler.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) name: Arc<str>,
    /// Its types, each with the position that it starts after.
    pub(super) types: Arc<BTreeMap<i64, u64>>,
    pub(super) cursor: Cursor,
    /// Does it keep the order of each key?
    pub(super) ordered: bool,
    /// Which keys are held.
    pub(super) order: Order,
    /// What it is to be given next.
    pub(super) window: Window,
    /// Position of the last message for it.
    pub(super) latest: u64,
    /// Messages for it that are neither settled nor have an exception row.
    pub(super) unsettled: u64,
    /// Its exception rows.
    pub(super) exceptions: u64,
    /// Those that wait behind their ordering key, or were given up and hold it.
    pub(super) parked: u64,
    /// Its dead letters.
    pub(super) dead: u64,
    /// When the earliest of its exception rows is due, or earlier.
    pub(super) due: Option<Timestamp>,
    /// Counts changes of `due` by the writer.
    pub(super) due_changes: u64,
    /// Did an operator pause it?
    pub(super) paused: bool,
    /// Is it in the wiring of this process?
    pub(super) open: bool,
    /// When it was last known to be.
    pub(super) seen: Timestamp,
    /// Which opening: the stream of an earlier one has ended.
    pub(super) generation: u64,
    /// Tells its stream that there may be something.
    pub(super) wake: Arc<Notify>,
    /// Held by whoever moves the reading position, or rewrites exception rows that are not handed out.
    pub(super) reading: Arc<tokio::sync::Mutex<()>>,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        limits: Limits,
        durability: Durability,
        readers: SqlitePool,
        running: Running,
        state: State,
    ) -> Self {
        Self {
            opened: clock.now(),
            clock,
            limits,
            durability,
            readers,
            crowded: Notify::new(),
            running,
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream of a handler ended: what it had handed out does not run any more, as far as this journal knows.
    pub(super) fn given_back(&self) {
        self.running.begin(|| self.state().entries());
        self.state().try_the_next();
    }
}

// === impl State ===

impl State {
    /// The handlers that a message of this type at this position concerns.
    pub(super) fn bound(&self, ty: i64, position: u64) -> impl Iterator<Item = (i64, &Handler)> {
        self.handlers
            .iter()
            .filter(move |(_, handler)| handler.concerns(ty, position))
            .map(|(id, handler)| (*id, handler))
    }

    pub(super) fn handler_named(&self, name: &str) -> Option<(i64, &Handler)> {
        self.handlers
            .iter()
            .find(|(_, handler)| &*handler.name == name)
            .map(|(id, handler)| (*id, handler))
    }

    /// How far the log was read for this handler, counting what does not concern it.
    pub(super) fn read_by(&self, handler: &Handler) -> u64 {
        if handler.latest <= handler.cursor.scanned {
            self.head
        } else {
            handler.cursor.scanned
        }
    }

    /// Ends every stream.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake_all();
    }

    /// Makes every stream look again.
    pub(super) fn wake_all(&self) {
        for handler in self.handlers.values() {
            handler.wake.notify_one();
        }
    }
}

// === impl Types ===

impl Types {
    pub(super) fn id(&self, name: &MessageType) -> Option<i64> {
        self.ids.get(name).copied()
    }

    pub(super) fn name(&self, id: i64) -> Option<&MessageType> {
        self.names.get(&id)
    }

    pub(super) fn add(&mut self, id: i64, name: MessageType) {
        self.names.insert(id, name.clone());
        self.ids.insert(name, id);
    }

    /// All numbers that were given.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.names.keys().copied()
    }

    /// The number for the next new type.
    pub(super) fn next_id(&self) -> i64 {
        self.names.keys().max().map_or(1, |last| last + 1)
    }
}

// === impl Handler ===

impl Handler {
    /// Is a message of this type at this position for it?
    pub(super) fn concerns(&self, ty: i64, position: u64) -> bool {
        self.types.get(&ty).is_some_and(|since| *since < position)
    }

    /// Messages that it has not settled.
    pub(super) fn lag(&self) -> u64 {
        self.unsettled + self.exceptions
    }

    /// What holds its key within this handler, if it takes part in an order.
    pub(super) fn key_of(&self, message: &Envelope) -> Option<Arc<Key>> {
        self.ordered.then(|| Key::of(message)).flatten()
    }

    /// Would this message have to wait behind its key?
    pub(super) fn holds_key_of(&self, message: &Envelope) -> bool {
        self.key_of(message)
            .is_some_and(|key| self.order.is_held(&key))
    }

    /// A message for it was committed.
    pub(super) fn arrived(&mut self, position: u64, message: Option<&Arc<Envelope>>) {
        let warm = self.window.upto().max(self.cursor.scanned) >= self.latest;
        self.latest = position;
        self.unsettled += 1;
        if let (true, true, Some(message)) = (warm, self.open, message) {
            self.window.push(position, message);
        }
    }

    /// Something of it comes due at `at`: its stream must look again.
    pub(super) fn due_at(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        self.due_changes += 1;
        self.wake.notify_one();
    }

    /// The delivery that this token names, if it is the current one.
    pub(super) fn current(&self, position: u64, fence: u64) -> Option<Handed> {
        self.cursor
            .handed(position)
            .cloned()
            .filter(|handed| handed.fence == fence)
    }
}
