//! Where handlers stand while records come in.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sqlx::SqliteConnection;

use crate::sqlite::error::StoreError;
use crate::sqlite::load::save_cursor;
use crate::sqlite::state::State;

/// One handler.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) id: i64,
    upto: u64,
    done: BTreeSet<u64>,
    types: BTreeSet<i64>,
    /// Messages of the log wait for it: its cursor cannot jump to the end.
    behind: bool,
    pub(super) changed: bool,
}

/// All of them, by name.
#[derive(Debug)]
pub(super) struct Standings(HashMap<String, Standing>);

impl Standing {
    /// One that was created at the end of the log.
    pub(super) fn new(id: i64, head: u64, types: &[i64]) -> Self {
        Self {
            id,
            upto: head,
            done: BTreeSet::new(),
            types: types.iter().copied().collect(),
            behind: false,
            changed: true,
        }
    }

    /// Writes where it stands.
    pub(super) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        save_cursor(connection, self.id, self.upto, &self.done).await
    }
}

impl Standings {
    /// Refused while a handler is open: what it was handed out would be forgotten.
    pub(super) fn of(state: &State) -> Result<Self, StoreError> {
        if state.handlers.values().any(|handler| handler.open) {
            return Err(StoreError::InUse);
        }
        let standings = state.handlers.iter().map(|(id, handler)| {
            let (upto, done) = handler
                .cursor
                .after(&BTreeSet::new(), state.read_by(handler));
            let standing = Standing {
                id: *id,
                upto,
                done,
                types: handler.types.keys().copied().collect(),
                behind: handler.unsettled > 0,
                changed: false,
            };
            (handler.name.to_string(), standing)
        });
        Ok(Self(standings.collect()))
    }

    pub(super) fn named(&mut self, name: &str) -> Option<&mut Standing> {
        self.0.get_mut(name)
    }

    pub(super) fn add(&mut self, name: String, standing: Standing) {
        self.0.insert(name, standing);
    }

    /// A message of this type lies at this position now, and comes to nobody from there.
    pub(super) fn pass(&mut self, ty: i64, position: u64) {
        let bound = self.0.values_mut().filter(|one| one.types.contains(&ty));
        for standing in bound {
            standing.changed = true;
            if standing.behind && position > standing.upto {
                standing.done.insert(position);
            }
        }
    }

    /// Those that changed, where they stand when the log ends at `head`.
    pub(super) fn changed(&mut self, head: u64) -> impl Iterator<Item = &Standing> {
        let changed = self.0.values_mut().filter(|standing| standing.changed);
        changed.map(move |standing| {
            if !standing.behind {
                standing.upto = head;
                standing.done.clear();
            }
            &*standing
        })
    }
}
