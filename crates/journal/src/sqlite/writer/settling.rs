//! Settled deliveries into the database, and into what is known in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::SqliteConnection;

use super::passing::{Condemned, Freed};
use super::waiting::{self, Failed, For, Waiting};
use crate::sqlite::burial::bury;
use crate::sqlite::cursor::Handed;
use crate::sqlite::error::StoreError;
use crate::sqlite::load::save_cursors;
use crate::sqlite::order::Key;
use crate::sqlite::rows::json_list;
use crate::sqlite::running::Entry;
use crate::sqlite::state::{Handler, Shared, State};
use crate::{Failure, FailureKind, Verdict};

/// One delivery whose token was current.
#[derive(Debug, Clone)]
pub(super) struct Settled<'a> {
    pub(super) position: u64,
    pub(super) handed: Handed,
    /// Straight from the log, not from an exception row.
    pub(super) fresh: bool,
    pub(super) verdict: &'a Verdict,
}

/// What a verdict means for one delivery.
enum End<'a> {
    Acked,
    /// It gets an exception row that waits for this time; the failure, if it counts as an attempt.
    Again(Timestamp, Option<&'a Failure>),
    /// It gets an exception row that waits for an operator, and holds its key.
    Parked(&'a Failure),
    Dead(&'a Failure),
    /// With everything behind it.
    DeadKey(&'a Failure),
}

/// What follows for one handler from the verdicts of a group.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    /// Positions of the log that become exception rows.
    stragglers: Vec<u64>,
    freed: Vec<Freed>,
    condemned: Vec<Condemned>,
}

impl<'a> Settled<'a> {
    /// Writes what a group settled: exceptions, dead letters, failed attempts, ordering keys, cursors.
    pub(super) async fn write(
        connection: &mut SqliteConnection,
        shared: &Shared,
        settled: &BTreeMap<i64, Vec<Self>>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, Consequences>, StoreError> {
        let (mut rows, mut failed, mut cursors) = (Vec::new(), Vec::new(), Vec::new());
        let mut consequences = BTreeMap::new();
        for (handler, settled) in settled {
            let done = settled
                .iter()
                .filter(|one| !one.fresh && matches!(one.end(), End::Acked));
            let done = done.map(|one| one.position);
            waiting::delete_exceptions(connection, *handler, done).await?;
            let mut what = Consequences::default();
            for one in settled {
                rows.extend(one.row(*handler));
                failed.extend(one.failure().map(|failure| Failed {
                    handler: *handler,
                    settled: one,
                    failure,
                }));
                one.end_it(connection, shared, (*handler, &mut what), now)
                    .await?;
            }
            if let Some((upto, done)) = what.move_cursor(shared, *handler, settled, &mut rows) {
                cursors.push((*handler, upto, done));
            }
            consequences.insert(*handler, what);
        }
        save_cursors(connection, &cursors).await?;
        waiting::save_waiting(connection, &rows).await?;
        waiting::save_failed(connection, &failed, now).await?;
        Ok(consequences)
    }

    /// Makes it known: to be called after the commit only.
    pub(super) fn apply(state: &mut State, id: i64, settled: &[Self], what: &Consequences) {
        let survived = settled.iter().map(|one| (one.position, one.next_attempt()));
        state.survived(id, survived);
        let known = state.handlers.get(&id);
        let Some(read) = known.map(|handler| state.read_by(handler)) else {
            return;
        };
        let Some(handler) = state.handlers.get_mut(&id) else {
            return;
        };
        for one in settled {
            one.count(handler);
        }
        what.apply(handler);
        let positions = what.positions(settled);
        handler.cursor.settle(&positions, read);
        // There may be room again.
        handler.wake.notify_one();
    }

    fn end(&self) -> End<'a> {
        let keyed = self.handed.key.is_some();
        match self.verdict {
            Verdict::Ack { .. } => End::Acked,
            Verdict::Retry { due, failure } => End::Again(*due, Some(failure)),
            Verdict::Release { due } => End::Again(due.unwrap_or_default(), None),
            Verdict::Park { failure } if keyed => End::Parked(failure),
            Verdict::DeadKey { failure } if keyed => End::DeadKey(failure),
            Verdict::Dead { failure }
            | Verdict::DeadKey { failure }
            | Verdict::Park { failure } => End::Dead(failure),
        }
    }

    /// Is it to be handed out again as if it had not been?
    fn is_given_back(&self) -> bool {
        matches!(self.verdict, Verdict::Release { .. })
    }

    /// Number of the attempt that is to come by itself.
    fn next_attempt(&self) -> Option<u32> {
        match self.end() {
            End::Again(_, failure) => Some(self.handed.attempt + u32::from(failure.is_some())),
            End::Acked | End::Parked(_) | End::Dead(_) | End::DeadKey(_) => None,
        }
    }

    /// For the next process: it does not run any more, though its next attempt has the same number.
    pub(super) fn given_back(&self, handler: i64) -> Option<Entry> {
        let entry = || self.handed.entry(handler, self.position, false);
        self.is_given_back().then(entry)
    }

    /// Why the attempt failed, if one did.
    fn failure(&self) -> Option<&'a Failure> {
        match self.end() {
            End::Acked | End::Again(_, None) => None,
            End::Again(_, Some(failure))
            | End::Parked(failure)
            | End::Dead(failure)
            | End::DeadKey(failure) => Some(failure),
        }
    }

    /// The exception row that it gets.
    fn row(&self, handler: i64) -> Option<Waiting> {
        let row = Waiting::unattempted(handler, self.position, &self.handed);
        let attempted = |failure: &Failure| {
            let panicked = u32::from(failure.kind == FailureKind::Panic);
            (self.handed.attempt, self.handed.crashes + panicked)
        };
        match self.end() {
            End::Acked | End::Dead(_) | End::DeadKey(_) => None,
            End::Again(due, None) => Some(Waiting { due, ..row }),
            End::Again(due, Some(failure)) => {
                let (attempt, crashes) = attempted(failure);
                Some(Waiting {
                    due,
                    attempt,
                    crashes,
                    ..row
                })
            }
            End::Parked(failure) => {
                let (attempt, crashes) = attempted(failure);
                Some(Waiting {
                    waits: For::Operator,
                    attempt,
                    crashes,
                    ..row
                })
            }
        }
    }

    /// Buries what is dead, and lets go of the ordering key that it held.
    async fn end_it(
        &self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        (handler, what): (i64, &mut Consequences),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let end = self.end();
        if let End::Dead(failure) | End::DeadKey(failure) = end {
            let (at, attempt) = (json_list([self.position]), Some(self.handed.attempt));
            bury(connection, handler, &at, attempt, failure, now).await?;
        }
        let Some(key) = &self.handed.key else {
            return Ok(());
        };
        match end {
            End::Again(..) | End::Parked(_) => {}
            End::Acked | End::Dead(_) => {
                let freed = Freed::pass_on(connection, shared, handler, key).await?;
                what.freed.push(freed);
            }
            End::DeadKey(_) => {
                let head = (self.position, key);
                let condemned = Condemned::bury(connection, shared, handler, head, now).await?;
                what.condemned.push(condemned);
            }
        }
        Ok(())
    }

    /// Brings the counts of its handler up to date.
    fn count(&self, handler: &mut Handler) {
        if self.fresh {
            handler.unsettled = handler.unsettled.saturating_sub(1);
        } else {
            handler.cursor.again.remove(&self.position);
            handler.exceptions = handler.exceptions.saturating_sub(1);
        }
        match self.end() {
            End::Acked => {}
            End::Again(due, _) => {
                handler.exceptions += 1;
                handler.due_at(due);
            }
            End::Parked(_) => {
                handler.exceptions += 1;
                handler.parked += 1;
            }
            End::Dead(_) | End::DeadKey(_) => handler.dead += 1,
        }
    }
}

impl Consequences {
    /// Positions of the log that are settled, or have a row now.
    fn positions(&self, settled: &[Settled<'_>]) -> BTreeSet<u64> {
        let fresh = settled.iter().filter(|one| one.fresh);
        let condemned = self.condemned.iter().flat_map(|condemned| &condemned.log);
        fresh
            .map(|one| one.position)
            .chain(condemned.copied())
            .chain(self.stragglers.iter().copied())
            .collect()
    }

    /// Where the cursor will stand. What it leaves behind to get there is noted, and gets rows.
    fn move_cursor(
        &mut self,
        shared: &Shared,
        id: i64,
        settled: &[Settled<'_>],
        rows: &mut Vec<Waiting>,
    ) -> Option<(u64, BTreeSet<u64>)> {
        let state = shared.state();
        let handler = state.handlers.get(&id)?;
        let cursor = &handler.cursor;
        let mut positions = self.positions(settled);
        self.stragglers = cursor.stragglers(&positions);
        if !self.stragglers.is_empty() {
            let freed = self.freed.iter().filter_map(|freed| freed.next(handler));
            let next: BTreeSet<u64> = freed.collect();
            let row = |position: &u64| {
                if let Some(handed) = cursor.fresh.get(position) {
                    return Some(Waiting::unattempted(id, *position, handed));
                }
                let key: Arc<Key> = cursor.held.get(position)?.clone();
                let waits = if next.contains(position) || cursor.free.contains(position) {
                    For::Due
                } else {
                    For::Turn
                };
                Some(Waiting::held(id, *position, key, waits))
            };
            rows.extend(self.stragglers.iter().filter_map(row));
            positions.extend(&self.stragglers);
        }
        Some(cursor.after(&positions, state.read_by(handler)))
    }

    /// Makes it known, but for the cursor.
    fn apply(&self, handler: &mut Handler) {
        for freed in &self.freed {
            freed.apply(handler);
        }
        for condemned in &self.condemned {
            condemned.apply(handler);
        }
        for position in &self.stragglers {
            let cursor = &mut handler.cursor;
            if let Some(handed) = cursor.fresh.get(position).cloned() {
                cursor.again.insert(*position, handed);
            } else if let Some(key) = cursor.held.get(position).cloned() {
                handler.window.take(*position);
                if cursor.free.contains(position) {
                    handler.due_at(Timestamp::default());
                } else {
                    handler.order.write_down(&key, *position);
                    handler.parked += 1;
                }
            } else {
                continue;
            }
            handler.unsettled = handler.unsettled.saturating_sub(1);
            handler.exceptions += 1;
        }
    }
}
