//! Counts: kept up to date in memory, except for the age of the oldest, which is a few index look-ups.

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator_message::{MessageType, Timestamp};
use sea_orm::sqlx::{self, SqliteConnection};

use super::error::StoreError;
use super::paging::Stretch;
use super::state::{Handler, Shared, Types};
use crate::{Durability, HandlerStats, Stats};

/// What is counted of one handler, and where its oldest is looked for.
struct Counted {
    id: i64,
    stats: HandlerStats,
    /// The oldest that was looked at in the log and is not settled, if any.
    oldest_fresh: Option<u64>,
    /// Where what was not read yet begins.
    unread: Stretch,
    done: BTreeSet<u64>,
}

/// See [`crate::Journal::stats`].
pub(super) async fn stats(shared: &Shared) -> Result<Stats, StoreError> {
    let (mut stats, counted) = {
        let state = shared.state();
        let handlers = state.handlers.iter();
        let counted: Vec<Counted> = handlers
            .map(|(id, handler)| count(*id, handler, &state.types))
            .collect();
        let stats = Stats {
            messages: state.messages,
            size: state.size,
            dead: state.handlers.values().map(|handler| handler.dead).sum(),
            delayed: state.delayed,
            engine: String::new(),
            durability: shared.durability,
            // The data directory belongs to one process.
            nodes: 0,
            handlers: Vec::with_capacity(counted.len()),
        };
        (stats, counted)
    };
    let now = shared.clock.now();
    let mut connection = shared.readers.acquire().await?;
    stats.engine = engine(&mut connection, shared.durability).await?;
    for mut one in counted {
        if one.stats.lag > 0 {
            let oldest = oldest(&mut connection, &one).await?;
            one.stats.oldest = oldest.map(|accepted| now.since(accepted));
        }
        stats.handlers.push(one.stats);
    }
    Ok(stats)
}

fn count(id: i64, handler: &Handler, types: &Arc<Types>) -> Counted {
    let cursor = &handler.cursor;
    let running = (cursor.fresh.len() + cursor.again.len()) as u64;
    let mut names: Vec<MessageType> = handler
        .types
        .keys()
        .filter_map(|ty| types.name(*ty))
        .cloned()
        .collect();
    names.sort();
    Counted {
        id,
        stats: HandlerStats {
            handler: handler.name.to_string(),
            types: names,
            lag: handler.lag(),
            running,
            retrying: handler
                .exceptions
                .saturating_sub(handler.parked + cursor.again.len() as u64),
            parked: handler.parked + cursor.behind() as u64,
            paused: handler.paused,
            dead: handler.dead,
            oldest: None,
            open: handler.open,
        },
        oldest_fresh: cursor.oldest(),
        unread: Stretch {
            types: handler.types.clone(),
            after: cursor.scanned,
            upto: handler.latest,
        },
        done: cursor.done.clone(),
    }
}

/// `sqlite 3.50.2, synchronous=full`.
async fn engine(
    connection: &mut SqliteConnection,
    durability: Durability,
) -> Result<String, StoreError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await?;
    let synced = match durability {
        Durability::Strict => "full",
        Durability::Relaxed => "normal",
    };
    Ok(format!("sqlite {version}, synchronous={synced}"))
}

/// When the oldest unsettled message was accepted.
async fn oldest(
    connection: &mut SqliteConnection,
    one: &Counted,
) -> Result<Option<Timestamp>, StoreError> {
    let waiting: Option<i64> =
        sqlx::query_scalar("SELECT min(seq) FROM exception WHERE handler = ?")
            .bind(one.id)
            .fetch_one(&mut *connection)
            .await?;
    let unread = one.unread.positions(connection, one.done.len() + 1).await?;
    let unread = unread
        .into_iter()
        .find(|position| !one.done.contains(position));
    let oldest = [waiting.map(i64::cast_unsigned), one.oldest_fresh, unread];
    let Some(oldest) = oldest.into_iter().flatten().min() else {
        return Ok(None);
    };
    let accepted: Option<i64> = sqlx::query_scalar("SELECT accepted FROM message WHERE seq = ?")
        .bind(oldest.cast_signed())
        .fetch_optional(connection)
        .await?;
    Ok(accepted.map(Timestamp::from_millis))
}
