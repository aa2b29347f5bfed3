//! Which deliveries an operator means.

use coordinator_message::MessageId;
use sea_orm::sqlx::{SqliteConnection, query_as};
use tokio::sync::OwnedMutexGuard;

use crate::sqlite::error::StoreError;
use crate::sqlite::state::{Shared, State};

/// A message that an operator named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) position: u64,
    pub(super) ty: i64,
    pub(super) lies: Lies,
}

/// Where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// In the log.
    Logged,
    /// In the log, without its payload.
    Dropped,
    /// Its time has not come.
    Delayed,
    /// Only in dead letters: retention took it from the log.
    Buried,
}

/// The message with this id.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: MessageId,
) -> Result<Option<Named>, StoreError> {
    let row: Option<(i64, i64, i64)> = query_as(
        "SELECT seq, type, dropped FROM message WHERE id = ?1
         UNION ALL SELECT seq, type, 2 FROM delayed WHERE id = ?1
         UNION ALL SELECT seq, type, 3 FROM dead WHERE id = ?1 LIMIT 1",
    )
    .bind(id.as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(seq, ty, lies)| Named {
        position: seq.cast_unsigned(),
        ty,
        lies: match lies {
            0 => Lies::Logged,
            1 => Lies::Dropped,
            2 => Lies::Delayed,
            _ => Lies::Buried,
        },
    }))
}

/// The handlers that are meant; `None` if the named one is not known.
pub(super) fn handlers(state: &State, name: Option<&str>) -> Option<Vec<i64>> {
    match name {
        Some(name) => state.handler_named(name).map(|(id, _)| vec![id]),
        None => Some(state.handlers.keys().copied().collect()),
    }
}

/// Waits for the turn of each of these handlers: while the guards are held, no stream hands anything of them out.
pub(super) async fn hold<'a>(
    shared: &Shared,
    names: impl Iterator<Item = Option<&'a str>>,
) -> Vec<OwnedMutexGuard<()>> {
    let turns: Vec<_> = {
        let state = shared.state();
        let named: std::collections::BTreeSet<i64> = names
            .filter_map(|name| handlers(&state, name))
            .flatten()
            .collect();
        let meant = named.iter().filter_map(|id| state.handlers.get(id));
        meant.map(|handler| handler.reading.clone()).collect()
    };
    let mut held = Vec::with_capacity(turns.len());
    for turn in turns {
        held.push(turn.lock_owned().await);
    }
    held
}
