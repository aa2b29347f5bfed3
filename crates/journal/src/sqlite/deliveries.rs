//! The stream of one handler: pages the log by cursor, with due exceptions in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use coordinator_message::{Envelope, Timestamp};
use sea_orm::sqlx::{self, AssertSqlSafe, Row as _, SqliteConnection};
use tokio::sync::{Mutex, Notify};

use super::cursor::{Cursor, Handed, WINDOW};
use super::error::StoreError;
use super::paging::Stretch;
use super::rows::{self, MESSAGE, json_list};
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
    name: Arc<str>,
    wake: Arc<Notify>,
    reading: Arc<Mutex<()>>,
}

/// What the stream saw when it began to read.
struct View {
    stretch: Stretch,
    /// Are exceptions due?
    due: bool,
    due_changes: u64,
    /// Exception rows that are handed out: the query finds them too.
    again: BTreeSet<u64>,
    /// How many may be handed out from the log.
    room: usize,
    types: Arc<Types>,
}

/// What was read.
#[derive(Default)]
struct Read {
    /// Exceptions, by due time, whether due or not.
    waiting: Vec<Waiting>,
    /// Were these all?
    all_waiting: bool,
    /// Positions from the log.
    fresh: Vec<u64>,
    /// The log was read up to here.
    scanned: u64,
    messages: HashMap<u64, Arc<Envelope>>,
}

/// One exception row.
struct Waiting {
    position: u64,
    handed: Handed,
    due: Timestamp,
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
        let (name, wake, reading) = {
            let state = shared.state();
            let handler = state.handlers.get(&id)?;
            (
                handler.name.clone(),
                handler.wake.clone(),
                handler.reading.clone(),
            )
        };
        Some(Self {
            shared,
            id,
            generation,
            name,
            wake,
            reading,
        })
    }

    /// Looks once, without waiting for anything new.
    async fn look(&self, max: usize) -> Result<Look, StoreError> {
        let _turn = self.reading.lock().await;
        let Some(view) = self.view() else {
            return Ok(Look::Closed);
        };
        let read = self.read(&view, max).await?;
        Ok(self.hand_out(&view, &read, max))
    }

    fn view(&self) -> Option<View> {
        let state = self.shared.state();
        let handler = state.handlers.get(&self.id)?;
        if state.closed || handler.generation != self.generation {
            return None;
        }
        let cursor = &handler.cursor;
        Some(View {
            stretch: Stretch {
                types: handler.types.clone(),
                after: cursor.scanned,
                upto: handler.latest,
            },
            due: handler
                .due
                .is_some_and(|due| due <= self.shared.clock.now()),
            due_changes: handler.due_changes,
            again: cursor.again.keys().copied().collect(),
            room: cursor.room(),
            types: state.types.clone(),
        })
    }

    /// Reads from the database what may be handed out.
    async fn read(&self, view: &View, max: usize) -> Result<Read, StoreError> {
        let more = view.stretch.upto > view.stretch.after && view.room > 0;
        let mut read = Read {
            scanned: view.stretch.after,
            ..Read::default()
        };
        if !more && !view.due {
            return Ok(read);
        }
        let mut connection = self.shared.readers.acquire().await?;
        if view.due && view.again.len() < WINDOW {
            // Half of a page at most while there is news: late retries do not starve first tries.
            let most = if more { max.div_ceil(2) } else { max };
            read.waiting = self
                .waiting(&mut connection, most + view.again.len() + 1)
                .await?;
            read.all_waiting = read.waiting.len() <= most + view.again.len();
        }
        if more {
            let limit = view.room.min(max);
            read.fresh = view.stretch.positions(&mut connection, limit).await?;
            let complete = read.fresh.len() < limit;
            read.scanned = if complete {
                view.stretch.upto
            } else {
                *read.fresh.last().unwrap_or(&view.stretch.upto)
            };
        }
        let now = self.shared.clock.now();
        let due = read
            .waiting
            .iter()
            .filter(|one| one.due <= now)
            .map(|one| one.position);
        let wanted = json_list(due.chain(read.fresh.iter().copied()));
        let sql =
            format!("SELECT {MESSAGE} FROM message WHERE seq IN (SELECT value FROM json_each(?))");
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(wanted)
            .fetch_all(&mut *connection)
            .await?;
        for row in &found {
            let message = rows::read_message(row, 0, &view.types)?;
            read.messages
                .insert(message.position, Arc::new(message.envelope));
        }
        Ok(read)
    }

    async fn waiting(
        &self,
        connection: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let sql = "SELECT seq, attempt, crashes, replay, due FROM exception WHERE handler = ? ORDER BY due, seq LIMIT ?";
        let found = sqlx::query(sql)
            .bind(self.id)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let attempt: u32 = row.try_get(1)?;
            Ok(Waiting {
                position: row.try_get::<i64, _>(0)?.cast_unsigned(),
                handed: Handed {
                    fence: 0,
                    attempt: attempt + 1,
                    crashes: row.try_get(2)?,
                    replay: row.try_get(3)?,
                },
                due: Timestamp::from_millis(row.try_get(4)?),
            })
        };
        found.iter().map(read).collect()
    }

    /// Notes what is handed out. Nothing is awaited from here on, so a dropped wait loses none.
    fn hand_out(&self, view: &View, read: &Read, max: usize) -> Look {
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
        let now = self.shared.clock.now();
        let mut given = Vec::new();
        if view.due {
            let due = self.give_waiting(handler, fences, view, read, (now, max), &mut given);
            // What the writer noted since the view was taken stays noted.
            let noted = handler
                .due
                .filter(|_| handler.due_changes != view.due_changes);
            handler.due = [due, noted].into_iter().flatten().min();
        }
        self.give_fresh(&mut handler.cursor, fences, read, max, &mut given);
        if !given.is_empty() {
            return Look::Found(given);
        }
        let due = handler.due.filter(|_| handler.cursor.again.len() < WINDOW);
        let more = handler.latest > handler.cursor.scanned && handler.cursor.room() > 0;
        if more || due.is_some_and(|due| due <= now) {
            Look::Again
        } else {
            Look::Nothing(due)
        }
    }

    /// Gives exceptions that are due, and answers when the next is.
    fn give_waiting(
        &self,
        handler: &mut Handler,
        fences: &mut u64,
        view: &View,
        read: &Read,
        (now, max): (Timestamp, usize),
        given: &mut Vec<Delivery>,
    ) -> Option<Timestamp> {
        let most = if read.fresh.is_empty() {
            max
        } else {
            max.div_ceil(2)
        };
        for waiting in &read.waiting {
            let position = waiting.position;
            // Handed out now, or when the row was read: then the row may be older than what became of it.
            if view.again.contains(&position) || handler.cursor.handed(position).is_some() {
                continue;
            }
            if waiting.due > now || given.len() >= most {
                return Some(waiting.due);
            }
            let Some(message) = read.messages.get(&position) else {
                return Some(waiting.due);
            };
            *fences += 1;
            let handed = Handed {
                fence: *fences,
                ..waiting.handed
            };
            handler.cursor.again.insert(position, handed);
            given.push(self.delivery(message.clone(), position, handed));
        }
        (!read.all_waiting).then_some(now)
    }

    /// Gives messages of the log, and moves the reading position.
    fn give_fresh(
        &self,
        cursor: &mut Cursor,
        fences: &mut u64,
        read: &Read,
        max: usize,
        given: &mut Vec<Delivery>,
    ) {
        for position in read.fresh.iter().copied() {
            if given.len() >= max {
                return;
            }
            cursor.scanned = cursor.scanned.max(position);
            if cursor.done.contains(&position) || cursor.handed(position).is_some() {
                continue;
            }
            let Some(message) = read.messages.get(&position) else {
                continue;
            };
            *fences += 1;
            let handed = Handed {
                fence: *fences,
                attempt: 1,
                crashes: 0,
                replay: 0,
            };
            cursor.fresh.insert(position, handed);
            given.push(self.delivery(message.clone(), position, handed));
        }
        cursor.scanned = cursor.scanned.max(read.scanned);
    }

    fn delivery(&self, message: Arc<Envelope>, position: u64, handed: Handed) -> Delivery {
        Delivery {
            message,
            attempt: handed.attempt,
            crashes: handed.crashes,
            replay: handed.replay,
            token: Token {
                handler: self.name.clone(),
                shard: 0,
                position,
                fence: handed.fence,
            },
        }
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
