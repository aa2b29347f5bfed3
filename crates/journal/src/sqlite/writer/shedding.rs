//! Settled messages go: by age, by size, and their payloads before them.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_message::Timestamp;
use sea_orm::sqlx::{SqliteConnection, query, query_as, query_scalar};

use super::Writer;
use super::retention::{ROWS, last_before};
use crate::Payloads;
use crate::sqlite::error::StoreError;
use crate::sqlite::load;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::State;

/// What a row costs beside its payload, roughly.
const ROW_BYTES: u64 = 300;

/// How far payloads were dropped. Not stored: after a restart the log is looked through once.
#[derive(Debug, Default)]
pub(super) struct Dropping {
    /// For each type, the position up to which everything was looked at.
    upto: BTreeMap<i64, u64>,
    /// What had to be left below that, and its type.
    left: BTreeMap<u64, i64>,
}

impl Dropping {
    /// A payload below the mark that is to be looked at again.
    pub(super) fn left(&mut self, position: u64, ty: i64) {
        self.left.insert(position, ty);
    }
}

/// For each type, the position that every handler bound to it is past; `None` if no handler is.
fn floors(state: &State) -> BTreeMap<i64, Option<u64>> {
    let nothing = BTreeSet::new();
    let mut floors: BTreeMap<i64, Option<u64>> = state.types.ids().map(|ty| (ty, None)).collect();
    for handler in state.handlers.values() {
        let upto = handler.cursor.after(&nothing, state.read_by(handler)).0;
        for (ty, since) in &*handler.types {
            let floor = floors.entry(*ty).or_default();
            let own = upto.max(*since);
            *floor = Some(floor.map_or(own, |floor| floor.min(own)));
        }
    }
    floors
}

/// Positions of one type that are settled, oldest first, with their bytes: past every handler, and no row waits.
async fn settled(
    connection: &mut SqliteConnection,
    ty: i64,
    (after, floor): (u64, u64),
    limit: usize,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let found: Vec<(i64, i64)> = query_as(
        "SELECT seq, length(data) FROM message m WHERE type = ? AND seq > ? AND seq <= ?
           AND NOT EXISTS (SELECT 1 FROM exception e WHERE e.seq = m.seq) ORDER BY seq LIMIT ?",
    )
    .bind(ty)
    .bind(after.cast_signed())
    .bind(floor.cast_signed())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let found = found.into_iter();
    Ok(found
        .map(|(seq, bytes)| (seq.cast_unsigned(), bytes.cast_unsigned()))
        .collect())
}

impl Writer {
    /// Deletes settled messages that are too old; those of types without a handler count as settled.
    pub(super) async fn delete_old(&mut self, horizon: Timestamp) -> Result<bool, StoreError> {
        let floors = floors(&self.shared.state());
        let mut transaction = self.begin().await?;
        let Some(last) = last_before(&mut transaction, horizon).await? else {
            return Ok(false);
        };
        let mut old = Vec::new();
        for (ty, floor) in floors {
            let range = (0, floor.unwrap_or(last).min(last));
            let most = ROWS - old.len();
            let found = settled(&mut transaction, ty, range, most).await?;
            old.extend(found.into_iter().map(|(position, _)| position));
        }
        drop(transaction);
        let more = old.len() >= ROWS;
        self.delete_messages(&old).await?;
        Ok(more)
    }

    /// Deletes the oldest settled messages while more is stored than `retention_size`. What no handler is bound to is
    /// not settled: it goes by age.
    pub(super) async fn shed(&mut self) -> Result<bool, StoreError> {
        let limit = self.shared.limits.retention_size;
        let floors = floors(&self.shared.state());
        let mut transaction = self.begin().await?;
        let excess = load::size(&mut transaction).await?.saturating_sub(limit);
        if excess == 0 {
            return Ok(false);
        }
        let mut oldest = Vec::new();
        for (ty, floor) in floors {
            let Some(floor) = floor else { continue };
            oldest.extend(settled(&mut transaction, ty, (0, floor), ROWS).await?);
        }
        drop(transaction);
        oldest.sort_unstable();
        oldest.truncate(ROWS);
        let (mut enough, mut freed) = (0, 0);
        for (_, bytes) in &oldest {
            if freed >= excess {
                break;
            }
            freed += bytes + ROW_BYTES;
            enough += 1;
        }
        let oldest: Vec<u64> = oldest[..enough]
            .iter()
            .map(|(position, _)| *position)
            .collect();
        self.delete_messages(&oldest).await?;
        Ok(!oldest.is_empty())
    }

    async fn delete_messages(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        if positions.is_empty() {
            return Ok(());
        }
        let shared = self.shared.clone();
        let mut transaction = self.begin().await?;
        let deleted = query("DELETE FROM message WHERE seq IN (SELECT value FROM json_each(?))")
            .bind(json_list(positions.iter().copied()))
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        let size = load::size(&mut transaction).await?;
        transaction.commit().await?;
        let mut state = shared.state();
        state.messages = state.messages.saturating_sub(deleted);
        state.size = size;
        Ok(())
    }

    /// Drops payloads that every handler has settled, if they are not kept. Dead letters have their own copies.
    pub(super) async fn drop_payloads(&mut self) -> Result<bool, StoreError> {
        if self.shared.limits.payloads == Payloads::Retained {
            return Ok(false);
        }
        let shared = self.shared.clone();
        let floors = floors(&shared.state());
        let (upto, left) = (self.payloads.upto.clone(), self.payloads.left.clone());
        let mut transaction = self.begin().await?;
        // In log order per type, so that each is looked at once; what waits is noted and looked at again.
        let mut looked: BTreeMap<u64, i64> = BTreeMap::new();
        for (ty, floor) in &floors {
            let Some(floor) = *floor else { continue };
            let after = upto.get(ty).copied().unwrap_or(0);
            let most = ROWS - looked.len();
            for position in positions(&mut transaction, *ty, (after, floor), most).await? {
                looked.insert(position, *ty);
            }
        }
        let more = looked.len() >= ROWS;
        let mut marks = upto;
        for (position, ty) in &looked {
            let mark = marks.entry(*ty).or_default();
            *mark = (*mark).max(*position);
        }
        let mut candidates = left;
        candidates.extend(looked);
        let floor = |ty: &i64| floors.get(ty).copied().flatten();
        // Nobody is bound any more: they go by age.
        candidates.retain(|_, ty| floor(ty).is_some());
        let past = candidates
            .iter()
            .filter(|(position, ty)| floor(ty).is_some_and(|floor| **position <= floor));
        let past: BTreeSet<u64> = past.map(|(position, _)| *position).collect();
        let waiting = drop_settled(&mut transaction, &past).await?;
        let size = load::size(&mut transaction).await?;
        transaction.commit().await?;
        candidates.retain(|position, _| !past.contains(position) || waiting.contains(position));
        self.payloads.upto = marks;
        self.payloads.left = candidates;
        shared.state().size = size;
        Ok(more)
    }
}

/// Drops the payloads of those for which no row waits; answers the others.
async fn drop_settled(
    connection: &mut SqliteConnection,
    past: &BTreeSet<u64>,
) -> Result<BTreeSet<u64>, StoreError> {
    let past = json_list(past.iter().copied());
    query(
        "UPDATE message SET data = x'', dropped = 1
         WHERE seq IN (SELECT value FROM json_each(?)) AND dropped = 0
           AND NOT EXISTS (SELECT 1 FROM exception e WHERE e.seq = message.seq)",
    )
    .bind(&past)
    .execute(&mut *connection)
    .await?;
    let sql = "SELECT DISTINCT seq FROM exception WHERE seq IN (SELECT value FROM json_each(?))";
    let waiting: Vec<i64> = query_scalar(sql).bind(past).fetch_all(connection).await?;
    Ok(waiting.into_iter().map(i64::cast_unsigned).collect())
}

/// Positions of one type that still have their payload, oldest first.
async fn positions(
    connection: &mut SqliteConnection,
    ty: i64,
    (after, floor): (u64, u64),
    limit: usize,
) -> Result<Vec<u64>, StoreError> {
    let found: Vec<i64> = query_scalar(
        "SELECT seq FROM message WHERE type = ? AND seq > ? AND seq <= ? AND dropped = 0 ORDER BY seq LIMIT ?",
    )
    .bind(ty)
    .bind(after.cast_signed())
    .bind(floor.cast_signed())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(i64::cast_unsigned).collect())
}
