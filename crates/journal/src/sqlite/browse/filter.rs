//! What a list asks for, as SQL and as a look at the places of a message.

use std::sync::Arc;

use coordinator_message::Timestamp;
use sea_orm::sqlx::{Error, QueryBuilder, Sqlite, SqliteConnection};

use super::places::{Place, Places};
use super::{of_message, weight};
use crate::sqlite::moment::first_since;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::{Shared, Types};
use crate::{MessageQuery, MessageState};

/// What a list asks for, in the engine's own numbers.
pub(super) struct Filter<'a> {
    query: &'a MessageQuery,
    ty: Option<i64>,
    handler: Option<(i64, Vec<i64>)>,
    /// Positions of the log: from this one on, and below that one.
    stretch: (Option<u64>, Option<u64>),
    /// Is anything delayed at all?
    delayed: bool,
    pub(super) types: Arc<Types>,
}

impl<'a> Filter<'a> {
    /// `None` if nothing can match: the type or the handler was never seen.
    pub(super) fn new(shared: &Shared, query: &'a MessageQuery) -> Option<Self> {
        let state = shared.state();
        let ty = match &query.ty {
            Some(name) => Some(state.types.id(name)?),
            None => None,
        };
        let handler = match &query.handler {
            Some(name) => {
                let (id, handler) = state.handler_named(name)?;
                Some((id, handler.types.keys().copied().collect()))
            }
            None => None,
        };
        Some(Self {
            query,
            ty,
            handler,
            stretch: (None, None),
            delayed: state.delayed > 0,
            types: state.types.clone(),
        })
    }

    /// Finds out where the times that are asked for lie in the log.
    pub(super) async fn locate(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        if let Some(since) = self.query.since {
            self.stretch.0 = Some(first_since(connection, since).await?);
        }
        if let Some(until) = self.query.until {
            self.stretch.1 = Some(first_since(connection, until).await?);
        }
        Ok(())
    }

    /// Is it decided only by looking at a row whether it belongs to the list?
    pub(super) fn looks(&self) -> bool {
        self.query.state.is_some() || self.query.source.is_some() || self.query.text.is_some()
    }

    /// One chunk of rows beyond `at`: position, type, whether it is delayed, whether source and text match, bytes.
    pub(super) fn page(&self, at: u64, limit: usize, places: &Places) -> QueryBuilder<Sqlite> {
        let state = self.query.state;
        let mut tables = Vec::new();
        if state != Some(MessageState::Delayed) {
            tables.push("message");
        }
        if self.delayed && state.is_none_or(|state| state == MessageState::Delayed)
            || tables.is_empty()
        {
            tables.push("delayed");
        }
        let mut sql = QueryBuilder::new("");
        for (index, table) in tables.into_iter().enumerate() {
            if index > 0 {
                sql.push(" UNION ALL ");
            }
            sql.push("SELECT * FROM (");
            self.select(&mut sql, table, at);
            if table == "message" {
                self.in_state(&mut sql, places);
            }
            self.end(&mut sql, limit);
            sql.push(")");
        }
        self.end(&mut sql, limit);
        sql
    }

    fn end(&self, sql: &mut QueryBuilder<Sqlite>, limit: usize) {
        let direction = if self.query.oldest_first {
            "ASC"
        } else {
            "DESC"
        };
        sql.push(format!(" ORDER BY seq {direction} LIMIT "));
        sql.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Rows of one table, by what an index knows. What none knows is answered beside them, so that a page looks at a
    /// bounded number of rows.
    fn select(&self, sql: &mut QueryBuilder<Sqlite>, table: &str, at: u64) {
        sql.push(format!(
            "SELECT seq, type, {} AS later, (1",
            u8::from(table == "delayed")
        ));
        if let Some(source) = &self.query.source {
            sql.push(" AND source = ").push_bind(source.clone());
        }
        if let Some(text) = &self.query.text {
            let text = text.clone().into_bytes();
            sql.push(" AND instr(data, ").push_bind(text).push(") > 0");
        }
        let beyond = if self.query.oldest_first { ">" } else { "<" };
        sql.push(format!(
            ") AS hit, length(data) AS bytes FROM {table} WHERE seq {beyond} "
        ));
        sql.push_bind(at.cast_signed());
        if let Some(ty) = self.ty {
            sql.push(" AND type = ").push_bind(ty);
        }
        if let Some((_, types)) = &self.handler {
            sql.push(" AND type IN (SELECT value FROM json_each(")
                .push_bind(format!("{types:?}"))
                .push("))");
        }
        if let Some(key) = &self.query.key {
            sql.push(" AND ordering_key = ").push_bind(key.clone());
        }
        if let Some(id) = &self.query.correlation {
            let id = id.as_bytes().to_vec();
            sql.push(" AND (correlation = ").push_bind(id.clone());
            sql.push(" OR (correlation IS NULL AND id = ")
                .push_bind(id)
                .push("))");
        }
        let (column, since, until) = if table == "message" {
            let (from, below) = self.stretch;
            let position = |position: Option<u64>| position.map(u64::cast_signed);
            ("seq", position(from), position(below))
        } else {
            let time = |time: Option<Timestamp>| time.map(Timestamp::as_millis);
            ("accepted", time(self.query.since), time(self.query.until))
        };
        if let Some(since) = since {
            sql.push(format!(" AND {column} >= ")).push_bind(since);
        }
        if let Some(until) = until {
            sql.push(format!(" AND {column} < ")).push_bind(until);
        }
    }

    /// Every message in some states has a row, or is known in memory.
    fn in_state(&self, sql: &mut QueryBuilder<Sqlite>, places: &Places) {
        match self.query.state {
            Some(MessageState::Dead) => {
                sql.push(" AND seq IN (SELECT seq FROM dead)");
            }
            Some(MessageState::Retrying) => {
                sql.push(" AND seq IN (SELECT seq FROM exception)");
            }
            Some(MessageState::Parked) => {
                sql.push(" AND (seq IN (SELECT seq FROM exception WHERE state <> 0) OR seq IN (SELECT value FROM json_each(")
                    .push_bind(json_list(places.held()))
                    .push(")))");
            }
            _ => {}
        }
    }

    /// The state to show, if the message is among what was asked for.
    pub(super) fn state(&self, delayed: bool, places: &[Place]) -> Option<MessageState> {
        if delayed {
            return Some(MessageState::Delayed);
        }
        let over_all = places
            .iter()
            .map(|place| of_message(place.state))
            .max_by_key(|state| weight(*state));
        let over_all = over_all.unwrap_or(MessageState::Unhandled);
        let asked = match &self.handler {
            Some((id, _)) => of_message(places.iter().find(|place| place.handler == *id)?.state),
            None => over_all,
        };
        self.query
            .state
            .is_none_or(|wanted| wanted == asked)
            .then_some(over_all)
    }
}
