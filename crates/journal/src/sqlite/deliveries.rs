//! The stream of one handler: what its window holds, in log order, with due exceptions in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use coordinator_message::{Envelope, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::cursor::{Handed, WINDOW};
use super::error::StoreError;
use super::order::Key;
use super::paging::Stretch;
use super::reading::{self, Page, Waiting};
use super::state::{Handler, Shared, State, Types};
use crate::{Deliveries, Delivery, JournalError, Token};

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
struct View {
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
    again: BTreeSet<u64>,
    /// Positions whose turn has come and whose message is not in memory.
    missing: Vec<u64>,
    types: Arc<Types>,
}

/// What was read.
#[derive(Default)]
struct Read {
    /// Exceptions, by due time, whether due or not.
    waiting: Vec<Waiting>,
    /// Were these all?
    all_waiting: bool,
    page: Option<Page>,
    messages: HashMap<u64, Arc<Envelope>>,
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

/// Deliveries on their way out.
struct Hand<'a> {
    handler: &'a mut Handler,
    fences: &'a mut u64,
    max: usize,
    now: Timestamp,
    given: Vec<Delivery>,
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
        let due = handler
            .due
            .is_some_and(|due| due <= self.shared.clock.now())
            && cursor.again.len() < WINDOW;
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
            missing: free.filter(|position| !window.keeps(*position)).collect(),
            types: state.types.clone(),
        })
    }

    /// Reads from the database what may be handed out.
    async fn read(&self, view: &View, max: usize) -> Result<Read, StoreError> {
        let mut read = Read::default();
        let mut connection = self.shared.readers.acquire().await?;
        if view.due {
            let most = view.most_waiting(max) + view.again.len();
            read.waiting = reading::waiting(&mut connection, self.id, most + 1).await?;
            read.all_waiting = read.waiting.len() <= most;
        }
        if let Some(stretch) = &view.page {
            read.page = Some(reading::page(&mut connection, stretch, &view.types).await?);
        }
        let now = self.shared.clock.now();
        let due = read.waiting.iter().filter(|one| one.due <= now);
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

    /// Notes what is handed out. Nothing is awaited from here on, so a dropped wait loses none.
    fn hand_out(&self, view: &View, mut read: Read, max: usize) -> Look {
        let mut state = self.shared.state();
        let State {
            handlers, fences, ..
        } = &mut *state;
        let Some(handler) = handlers
            .get_mut(&self.id)
            .filter(|handler| handler.generation == self.generation)
        else {
            return Look::Closed;
        };
        let mut hand = Hand {
            handler,
            fences,
            max,
            now: self.shared.clock.now(),
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
    fn most_waiting(&self, max: usize) -> usize {
        if self.news { max.div_ceil(2) } else { max }
    }
}

impl Hand<'_> {
    /// Gives exceptions that are due, and answers when the next is.
    fn give_waiting(&mut self, view: &View, read: &Read) -> Option<Timestamp> {
        let most = view.most_waiting(self.max);
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
                return Some(waiting.due);
            }
            let Some(message) = read.messages.get(&position) else {
                return Some(waiting.due);
            };
            let handed = waiting.handed.clone();
            let handed = self.give(position, message.clone(), handed);
            self.handler.cursor.again.insert(position, handed);
        }
        (!read.all_waiting).then_some(self.now)
    }

    /// Gives what waited behind its ordering key and does not any more.
    fn give_free(&mut self, read: &mut HashMap<u64, Arc<Envelope>>) {
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
    fn give_ready(&mut self) {
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

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, JournalError> {
        let max = max.clamp(1, MOST);
        loop {
            // Registered before looking, so that what comes meanwhile wakes it.
            let woken = self.wake.notified();
            let due = match self.look(max).await {
                Ok(Look::Found(deliveries)) => return Ok(deliveries),
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
