//! Deliveries that ran when their process died: each of them may be what killed it.
//!
//! Such a delivery carries the count of its crashes, so that it is given up in the end (`max_crashes`). One process dies
//! with many deliveries, of which one is to blame. So what ran at two deaths is handed out alone: at the third, no other
//! suspect runs beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query, query_as};
use tracing::warn;

use super::cursor::Handed;
use super::error::StoreError;
use super::load::{self, save_cursor};
use super::rows::json_list;
use super::running::Entry;
use super::state::State;

/// So many deaths, and it is handed out alone.
const ALONE: u32 = 2;
/// What is handed out alone has so long to show what it does. It may wait for a rate or a breaker, or hang.
const TURN: Duration = Duration::from_secs(10);

/// What is not settled of what ran when a process died.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    of: BTreeMap<(i64, u64), Entry>,
    out: Option<Out>,
}

/// The one that was handed out alone.
#[derive(Debug, Clone, Copy)]
struct Out {
    handler: i64,
    position: u64,
    fence: u64,
    until: Timestamp,
}

/// What the process before this one left. `state` is as the database has it.
pub(super) async fn after(
    connection: &mut SqliteConnection,
    state: &mut State,
    left: Vec<Entry>,
) -> Result<Suspects, StoreError> {
    let suspects = Suspects::find(connection, state, left).await?;
    if suspects.set_aside(connection, state).await? {
        *state = load::state(connection).await?;
    }
    Ok(suspects)
}

// === impl Suspects ===

impl Suspects {
    /// Those of which nothing was settled since.
    async fn find(
        connection: &mut SqliteConnection,
        state: &State,
        left: Vec<Entry>,
    ) -> Result<Self, StoreError> {
        let mut by_handler: BTreeMap<i64, Vec<Entry>> = BTreeMap::new();
        for entry in left {
            by_handler.entry(entry.handler).or_default().push(entry);
        }
        let mut of = BTreeMap::new();
        let mut died: BTreeMap<&str, u32> = BTreeMap::new();
        for (id, entries) in by_handler {
            let Some(handler) = state.handlers.get(&id) else {
                continue;
            };
            let rows = waiting(connection, id, &entries).await?;
            for mut entry in entries {
                let to_come = match rows.get(&entry.position) {
                    Some(next) => *next == (entry.attempt, entry.replay),
                    // The database may be an older one than this file.
                    None if entry.position > state.head => false,
                    None => entry.attempt == 1 && !handler.cursor.is_settled(entry.position),
                };
                if to_come && entry.runs {
                    *died.entry(&handler.name).or_default() += 1;
                }
                entry.crashes += u32::from(entry.runs);
                entry.runs = false;
                if to_come && entry.crashes > 0 {
                    of.insert((id, entry.position), entry);
                }
            }
        }
        for (handler, deliveries) in died {
            warn!(
                handler.name = handler,
                deliveries,
                "the process before this one died while deliveries ran, {deliveries} of `{handler}`: it counts as a crash of each"
            );
        }
        Ok(Self { of, out: None })
    }

    /// Positions of a handler that are to be handed out alone.
    pub(super) fn alone(&self, handler: i64) -> BTreeSet<u64> {
        let of = self.of.range((handler, 0)..=(handler, u64::MAX));
        let alone = of.filter(|(_, entry)| entry.crashes >= ALONE);
        alone.map(|((_, position), _)| *position).collect()
    }

    /// Makes rows of those that are to be alone, so that nothing in the log waits behind them. An ordered handler gives
    /// such a row its key when it is opened. Answers whether there were any.
    async fn set_aside(
        &self,
        connection: &mut SqliteConnection,
        state: &State,
    ) -> Result<bool, StoreError> {
        let alone = self.of.values().filter(|entry| entry.crashes >= ALONE);
        let fresh = alone.filter_map(|entry| {
            let cursor = &state.handlers.get(&entry.handler)?.cursor;
            (!cursor.is_settled(entry.position)).then_some(entry)
        });
        let mut settled: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
        let mut transaction = connection.begin().await?;
        for entry in fresh {
            let position = entry.position.cast_signed();
            let row = query(
                "INSERT OR IGNORE INTO exception (handler, seq, attempt, crashes, replay, due)
                 SELECT b.handler, m.seq, 0, ?, 0, 0 FROM message m JOIN binding b ON b.type = m.type
                 WHERE m.seq = ? AND b.handler = ? AND b.since < m.seq",
            )
            .bind(entry.crashes)
            .bind(position)
            .bind(entry.handler)
            .execute(&mut *transaction)
            .await?;
            if row.rows_affected() == 1 {
                let settled = settled.entry(entry.handler).or_default();
                settled.insert(entry.position);
            }
        }
        for (id, settled) in &settled {
            let Some(handler) = state.handlers.get(id) else {
                continue;
            };
            let done = &handler.cursor.done | settled;
            save_cursor(&mut transaction, *id, handler.cursor.upto, &done).await?;
        }
        transaction.commit().await?;
        Ok(!settled.is_empty())
    }

    /// What is known of a delivery that is about to be handed out.
    fn get(&self, handler: i64, position: u64, handed: &Handed) -> Option<&Entry> {
        let entry = self.of.get(&(handler, position));
        entry.filter(|entry| (entry.attempt, entry.replay) == (handed.attempt, handed.replay))
    }

    /// Must this one be handed out alone?
    pub(super) fn is_to_be_alone(&self, handler: i64, position: u64, handed: &Handed) -> bool {
        let entry = self.get(handler, position, handed);
        entry.is_some_and(|entry| entry.crashes >= ALONE)
    }

    /// It is handed out, with the deaths that it was part of. Answers until when it is to be alone, if it is.
    pub(super) fn hand_out(
        &mut self,
        handler: i64,
        position: u64,
        handed: &mut Handed,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let crashes = self.get(handler, position, handed)?.crashes;
        handed.crashes = handed.crashes.max(crashes);
        if crashes < ALONE {
            return None;
        }
        let until = now.after(TURN);
        self.out = Some(Out {
            handler,
            position,
            fence: handed.fence,
            until,
        });
        Some(until)
    }

    /// It did not kill this process, but its next attempt may, if it has one. Answers whether others waited for that.
    fn survived(&mut self, handler: i64, position: u64, next: Option<u32>) -> bool {
        match (self.of.get_mut(&(handler, position)), next) {
            (Some(entry), Some(attempt)) => entry.attempt = attempt,
            (Some(_), None) => drop(self.of.remove(&(handler, position))),
            (None, _) => {}
        }
        let same = |out: &mut Out| (out.handler, out.position) == (handler, position);
        self.out.take_if(same).is_some()
    }
}

impl State {
    /// These were settled, and have that attempt before them, if any: whatever waits for a suspect among them may go on.
    pub(super) fn survived(
        &mut self,
        handler: i64,
        settled: impl Iterator<Item = (u64, Option<u32>)>,
    ) {
        if self.suspects.of.is_empty() {
            return;
        }
        let mut freed = false;
        for (position, next) in settled {
            freed |= self.suspects.survived(handler, position, next);
        }
        if freed {
            self.try_the_next();
        }
    }

    /// What had to wait for a suspect is due.
    pub(super) fn try_the_next(&mut self) {
        let handlers: BTreeSet<i64> = self.suspects.of.keys().map(|(id, _)| *id).collect();
        for id in handlers {
            if let Some(handler) = self.handlers.get_mut(&id) {
                handler.due_at(Timestamp::default());
            }
        }
    }

    /// Until when others like it have to wait, if a suspect is handed out that is to be alone.
    pub(super) fn tries_a_suspect(&self, now: Timestamp) -> Option<Timestamp> {
        let out = self.suspects.out.filter(|out| out.until > now)?;
        let handler = self.handlers.get(&out.handler)?;
        handler.current(out.position, out.fence)?;
        Some(out.until)
    }

    /// All that the next process is to know if this one dies now.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut all = self.suspects.of.clone();
        for (id, handler) in &self.handlers {
            let cursor = &handler.cursor;
            let out = cursor.fresh.iter().chain(&cursor.again);
            let out = out.map(|(position, handed)| handed.entry(*id, *position, true));
            all.extend(out.map(|entry| ((*id, entry.position), entry)));
        }
        all.into_values().collect()
    }

    /// The same if this one ends by itself.
    pub(super) fn suspected(&self) -> Vec<Entry> {
        self.suspects.of.values().copied().collect()
    }
}

impl Handed {
    pub(super) fn entry(&self, handler: i64, position: u64, runs: bool) -> Entry {
        Entry {
            handler,
            position,
            attempt: self.attempt,
            replay: self.replay,
            crashes: self.crashes,
            runs,
        }
    }
}

/// Of those that have a row and wait for their time: number of the next attempt, and of the replay. Others have one that
/// no entry has.
async fn waiting(
    connection: &mut SqliteConnection,
    handler: i64,
    entries: &[Entry],
) -> Result<HashMap<u64, (u32, u32)>, StoreError> {
    let rows: Vec<(i64, u32, u32, u8)> = query_as(
        "SELECT seq, attempt, replay, state FROM exception
         WHERE handler = ? AND seq IN (SELECT value FROM json_each(?))",
    )
    .bind(handler)
    .bind(json_list(entries.iter().map(|entry| entry.position)))
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|(seq, attempt, replay, state)| {
        let next = if state == 0 { attempt + 1 } else { 0 };
        (seq.cast_unsigned(), (next, replay))
    });
    Ok(rows.collect())
}
