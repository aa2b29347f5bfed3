//! Where messages stand with each handler: what memory knows of cursors, joined with the rows of what failed.

use std::collections::HashMap;
use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{SqliteConnection, query_as};

use super::read_time;
use crate::DeliveryState;
use crate::sqlite::cursor::Cursor;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::Shared;

/// One delivery of one message.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) handler: i64,
    pub(super) name: Arc<str>,
    pub(super) state: DeliveryState,
    pub(super) attempt: u32,
    pub(super) due: Option<Timestamp>,
}

/// Every handler as it stood at one moment. Taken before the rows are read: what is settled in between shows as rows.
pub(super) struct Places {
    handlers: Vec<Known>,
}

struct Known {
    id: i64,
    name: Arc<str>,
    types: Arc<std::collections::BTreeMap<i64, u64>>,
    cursor: Cursor,
}

/// Attempts made, the time of the next, and whether it is parked.
type Waiting = HashMap<(i64, u64), (u32, Timestamp, bool)>;
/// Attempts made.
type Dead = HashMap<(i64, u64), u32>;

impl Places {
    pub(super) fn of(shared: &Shared) -> Self {
        let state = shared.state();
        let handlers = state.handlers.iter().map(|(id, handler)| Known {
            id: *id,
            name: handler.name.clone(),
            types: handler.types.clone(),
            cursor: handler.cursor.clone(),
        });
        Self {
            handlers: handlers.collect(),
        }
    }

    /// Positions that wait behind their ordering key in memory only.
    pub(super) fn held(&self) -> impl Iterator<Item = u64> {
        let handlers = self.handlers.iter();
        handlers.flat_map(|known| known.cursor.held.keys().copied())
    }

    /// The deliveries of messages, given by position and type, in the order of the messages.
    pub(super) async fn deliveries(
        &self,
        connection: &mut SqliteConnection,
        messages: &[(u64, i64)],
    ) -> Result<Vec<Vec<Place>>, StoreError> {
        let positions = json_list(messages.iter().map(|(position, _)| *position));
        let waiting: Vec<(i64, i64, u32, i64, bool)> = query_as(
            "SELECT handler, seq, attempt, due, state <> 0 FROM exception WHERE seq IN (SELECT value FROM json_each(?))",
        )
        .bind(&positions)
        .fetch_all(&mut *connection)
        .await?;
        let waiting: Waiting = waiting
            .into_iter()
            .map(|(handler, seq, attempt, due, parked)| {
                (
                    (handler, seq.cast_unsigned()),
                    (attempt, read_time(due), parked),
                )
            })
            .collect();
        let dead: Vec<(i64, i64, u32)> = query_as(
            "SELECT handler, seq, attempts FROM dead WHERE seq IN (SELECT value FROM json_each(?))",
        )
        .bind(&positions)
        .fetch_all(connection)
        .await?;
        let dead: Dead = dead
            .into_iter()
            .map(|(handler, seq, attempts)| ((handler, seq.cast_unsigned()), attempts))
            .collect();
        Ok(messages
            .iter()
            .map(|message| self.of_message(*message, &waiting, &dead))
            .collect())
    }

    fn of_message(&self, (position, ty): (u64, i64), waiting: &Waiting, dead: &Dead) -> Vec<Place> {
        let handlers = self.handlers.iter();
        handlers
            .filter_map(|known| known.place(position, ty, waiting, dead))
            .collect()
    }
}

impl Known {
    /// `None` if the message is none of its business.
    fn place(&self, position: u64, ty: i64, waiting: &Waiting, dead: &Dead) -> Option<Place> {
        let concerned = self.types.get(&ty).is_some_and(|since| *since < position);
        let row = waiting.get(&(self.id, position));
        let letter = dead.get(&(self.id, position));
        let handed = self.cursor.handed(position);
        let (state, attempt, due) = match (letter, row, handed) {
            (Some(attempts), _, _) => (DeliveryState::Dead, *attempts, None),
            (None, _, Some(handed)) => (DeliveryState::Running, handed.attempt, None),
            (None, Some((attempt, _, true)), None) => (DeliveryState::Parked, *attempt, None),
            (None, Some((0, due, _)), None) => {
                let later = (*due > Timestamp::default()).then_some(*due);
                (DeliveryState::Pending, 0, later)
            }
            (None, Some((attempt, due, _)), None) => {
                (DeliveryState::Retrying, *attempt, Some(*due))
            }
            _ if !concerned => return None,
            _ if self.cursor.waits_behind(position) => (DeliveryState::Parked, 0, None),
            _ if self.cursor.is_past(position) => (DeliveryState::Acked, 1, None),
            _ => (DeliveryState::Pending, 0, None),
        };
        Some(Place {
            handler: self.id,
            name: self.name.clone(),
            state,
            attempt,
            due,
        })
    }
}
