//! The stream of one handler: what its window holds, in log order, with due exceptions in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use coordinator_message::{Envelope, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::cursor::WINDOW;
use super::error::StoreError;
use super::hand::Hand;
use super::paging::Stretch;
use super::reading::{self, Page, Waiting};
use super::running::Entry;
use super::state::{Shared, State, Types};
use crate::{Deliveries, Delivery, JournalError};

/// Most deliveries in one call.
const MOST: usize = 1024;

/// See [`Deliveries`].
#[derive(Debug)]
pub(super) struct SqliteDeliveries {
    shared: Arc<Shared>,
    id: i64,
    generation: u64,
    wake: Arc<Notify>,
    reading: Arc<Mutex<()>>,
}

/// What the stream saw when it began to look, and what it has to read therefore.
pub(super) struct View {
    /// An operator wants nothing to be handed out.
    paused: bool,
    /// Where the log goes on, if nothing of it is in memory.
    page: Option<Stretch>,
    /// Is there anything from the log?
    news: bool,
    /// Are exceptions due?
    due: bool,
    due_changes: u64,
    /// Exception rows that are handed out: the query finds them too.
    pub(super) again: BTreeSet<u64>,
    /// Of these one is handed out at a time: the query finds all of them.
    alone: BTreeSet<u64>,
    /// One is handed out, of this handler or another.
    tries_a_suspect: bool,
    /// Positions whose turn has come and whose message is not in memory.
    missing: Vec<u64>,
    types: Arc<Types>,
}

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    /// Exceptions, by due time, whether due or not.
    pub(super) waiting: Vec<Waiting>,
    /// Were these all?
    pub(super) all_waiting: bool,
    page: Option<Page>,
    pub(super) messages: HashMap<u64, Arc<Envelope>>,
}

/// What became of one look.
enum Look {
    Found(Vec<Delivery>),
    /// Nothing now; something is due then, or when woken.
    Nothing(Option<Timestamp>),
    /// Something was read, but none of it is to be handed out: look again.
    Again,
    Closed,
}

impl SqliteDeliveries {
    /// The stream of a handler that was just opened; `None` if it was closed again meanwhile.
    pub(super) fn new(shared: Arc<Shared>, id: i64, generation: u64) -> Option<Self> {
        let (wake, reading) = {
            let state = shared.state();
            let handler = state.handlers.get(&id)?;
            (handler.wake.clone(), handler.reading.clone())
        };
        Some(Self {
            shared,
            id,
            generation,
            wake,
            reading,
        })
    }

    /// Looks once, without waiting for anything new.
    async fn look(&self, max: usize) -> Result<Look, StoreError> {
        let _turn = self.reading.lock().await;
        let Some(view) = self.view(max) else {
            return Ok(Look::Closed);
        };
        if view.paused {
            return Ok(Look::Nothing(None));
        }
        let read = if view.is_in_memory() {
            Read::default()
        } else {
            self.read(&view, max).await?
        };
        Ok(self.hand_out(&view, read, max))
    }

    fn view(&self, max: usize) -> Option<View> {
        let state = self.shared.state();
        let handler = state.handlers.get(&self.id)?;
        if state.closed || handler.generation != self.generation {
            return None;
        }
        let (cursor, window) = (&handler.cursor, &handler.window);
        let after = window.upto().max(cursor.scanned);
        let room = cursor.room() > 0;
        let now = self.shared.clock.now();
        let due = handler.due.is_some_and(|due| due <= now) && cursor.again.len() < WINDOW;
        let page = (room && window.is_empty() && handler.latest > after).then(|| Stretch {
            types: handler.types.clone(),
            after,
            upto: handler.latest,
        });
        let free = cursor.free.iter().take(max).copied();
        Some(View {
            paused: handler.paused,
            news: page.is_some() || room && !window.is_empty() || !cursor.free.is_empty(),
            page,
            due,
            due_changes: handler.due_changes,
            again: if due {
                cursor.again.keys().copied().collect()
            } else {
                BTreeSet::new()
            },
            alone: state.suspects.alone(self.id),
            tries_a_suspect: state.tries_a_suspect(now).is_some(),
            missing: free.filter(|position| !window.keeps(*position)).collect(),
            types: state.types.clone(),
        })
    }

    /// Reads from the database what may be handed out.
    async fn read(&self, view: &View, max: usize) -> Result<Read, StoreError> {
        let mut read = Read::default();
        let mut connection = self.shared.readers.acquire().await?;
        if view.due {
            let most = view.most_waiting(max) + view.again.len() + view.alone.len();
            read.waiting = reading::waiting(&mut connection, self.id, most + 1).await?;
            read.all_waiting = read.waiting.len() <= most;
        }
        if let Some(stretch) = &view.page {
            read.page = Some(reading::page(&mut connection, stretch, &view.types).await?);
        }
        let now = self.shared.clock.now();
        let mut tries_a_suspect = view.tries_a_suspect;
        let due = read.waiting.iter().filter(|one| {
            one.due <= now
                && !view.again.contains(&one.position)
                && !(view.alone.contains(&one.position)
                    && std::mem::replace(&mut tries_a_suspect, true))
        });
        let wanted = due
            .map(|one| one.position)
            .chain(view.missing.iter().copied());
        let wanted: Vec<u64> = wanted.collect();
        if !wanted.is_empty() {
            read.messages =
                reading::by_position(&mut connection, wanted.into_iter(), &view.types).await?;
        }
        Ok(read)
    }

    /// Writes down what is about to run. It comes after the state's lock: whoever begins the file anew takes that one
    /// within the file's own.
    fn note(&self, deliveries: &[Delivery]) {
        let entry = |one: &Delivery| Entry {
            handler: self.id,
            position: one.token.position,
            attempt: one.attempt,
            replay: one.replay,
            crashes: one.crashes,
            runs: true,
        };
        let entries = deliveries.iter().map(entry);
        let all = || self.shared.state().entries();
        self.shared.running.note(entries, all);
    }

    /// Notes what is handed out. Nothing is awaited from here on, so a dropped wait loses none.
    fn hand_out(&self, view: &View, mut read: Read, max: usize) -> Look {
        let mut state = self.shared.state();
        let now = self.shared.clock.now();
        let tries_a_suspect = state.tries_a_suspect(now);
        let State {
            handlers,
            fences,
            suspects,
            ..
        } = &mut *state;
        let Some(handler) = handlers
            .get_mut(&self.id)
            .filter(|handler| handler.generation == self.generation)
        else {
            return Look::Closed;
        };
        let mut hand = Hand {
            id: self.id,
            handler,
            fences,
            suspects,
            max,
            tries_a_suspect,
            now,
            given: Vec::new(),
        };
        if view.due {
            let due = hand.give_waiting(view, &read);
            // What the writer noted since the view was taken stays noted.
            let handler = &mut hand.handler;
            let noted = handler
                .due
                .filter(|_| handler.due_changes != view.due_changes);
            handler.due = [due, noted].into_iter().flatten().min();
        }
        if let Some(page) = read.page.take() {
            hand.handler.window.append(page.messages, page.upto);
        }
        hand.give_free(&mut read.messages);
        hand.give_ready();
        let Hand {
            handler,
            given,
            now,
            ..
        } = hand;
        if handler.cursor.is_stuffed() {
            self.shared.crowded.notify_one();
        }
        if !given.is_empty() {
            return Look::Found(given);
        }
        let cursor = &handler.cursor;
        let due = handler.due.filter(|_| cursor.again.len() < WINDOW);
        let more = handler.latest > cursor.scanned && cursor.room() > 0 || !cursor.free.is_empty();
        if more || due.is_some_and(|due| due <= now) {
            Look::Again
        } else {
            Look::Nothing(due)
        }
    }
}

impl View {
    /// Is there nothing to read from the database?
    fn is_in_memory(&self) -> bool {
        !self.due && self.page.is_none() && self.missing.is_empty()
    }

    /// Half of what is asked for while there is news: late retries do not starve first tries.
    pub(super) fn most_waiting(&self, max: usize) -> usize {
        if self.news { max.div_ceil(2) } else { max }
    }
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, JournalError> {
        let max = max.clamp(1, MOST);
        loop {
            // Registered before looking, so that what comes meanwhile wakes it.
            let woken = self.wake.notified();
            let due = match self.look(max).await {
                Ok(Look::Found(deliveries)) => {
                    self.note(&deliveries);
                    return Ok(deliveries);
                }
                Ok(Look::Closed) => return Ok(Vec::new()),
                Ok(Look::Again) => continue,
                Ok(Look::Nothing(due)) => due,
                // The readers went away under it.
                Err(_) if self.shared.state().closed => return Ok(Vec::new()),
                Err(error) => return Err(error.during("read deliveries")),
            };
            match due {
                Some(due) => tokio::select! {
                    () = woken => {}
                    () = self.shared.clock.sleep_until(due) => {}
                },
                None => woken.await,
            }
        }
    }
}
