//! Opening a handler: its cursor and its bindings, created or brought in line with the wiring.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator_message::{MessageType, Timestamp};
use sea_orm::sqlx::{SqliteConnection, query, query_scalar};

use super::Writer;
use super::arranging::arrange;
use super::messages::add_type;
use crate::sqlite::burial::{Unattempted, bury};
use crate::sqlite::cursor::Cursor;
use crate::sqlite::error::StoreError;
use crate::sqlite::load;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::{Shared, State};
use crate::{HandlerSpec, StartFrom};

/// A handler that is open now.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Opened {
    pub(in crate::sqlite) id: i64,
    pub(in crate::sqlite) generation: u64,
}

impl Writer {
    /// Opens a handler. What an earlier opening in this process handed out is handed out again, and its tokens are
    /// stale.
    pub(super) async fn open(&mut self, spec: HandlerSpec) -> Result<Opened, StoreError> {
        let outcome = self.try_open(&spec).await;
        self.checked(outcome)
    }

    async fn try_open(&mut self, spec: &HandlerSpec) -> Result<Opened, StoreError> {
        let shared = self.shared.clone();
        let now = shared.clock.now();
        let before = Before::find(&shared.state(), &spec.id);
        let mut transaction = self.begin().await?;
        let types = list_types(&mut transaction, &shared, &spec.types).await?;
        let id = match &before {
            Some(before) => {
                before
                    .rebind(&mut transaction, &shared, spec, &types, now)
                    .await?;
                before.id
            }
            None => create(&mut transaction, &shared, spec, &types, now).await?,
        };
        arrange(&mut transaction, id, spec.order).await?;
        let mut handler = load::handler(&mut transaction, id).await?;
        transaction.commit().await?;

        let mut state = shared.state();
        for (ty, name) in types {
            if state.types.id(&name).is_none() {
                Arc::make_mut(&mut state.types).add(ty, name);
            }
        }
        handler.open = true;
        let mut returned = false;
        if let Some(earlier) = state.handlers.remove(&id) {
            returned = earlier.cursor.hands_out();
            handler.generation = earlier.generation + 1;
            handler.reading = earlier.reading;
            earlier.wake.notify_one();
        }
        let opened = Opened {
            id,
            generation: handler.generation,
        };
        state.handlers.insert(id, handler);
        drop(state);
        if returned {
            shared.given_back();
        }
        Ok(opened)
    }
}

/// A handler as it was before it is opened.
struct Before {
    id: i64,
    cursor: Cursor,
    read: u64,
    types: Arc<BTreeMap<i64, u64>>,
}

impl Before {
    fn find(state: &State, name: &str) -> Option<Self> {
        let (id, handler) = state.handler_named(name)?;
        Some(Self {
            id,
            cursor: handler.cursor.clone(),
            read: state.read_by(handler),
            types: handler.types.clone(),
        })
    }

    /// Brings the bindings in line, and writes the cursor, which had moved in memory.
    async fn rebind(
        &self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        spec: &HandlerSpec,
        types: &BTreeMap<i64, MessageType>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (upto, done) = self
            .cursor
            .after(&std::collections::BTreeSet::new(), self.read);
        load::save_cursor(connection, self.id, upto, &done).await?;
        query("UPDATE handler SET seen = ? WHERE id = ?")
            .bind(now.as_millis())
            .bind(self.id)
            .execute(&mut *connection)
            .await?;
        for (ty, since) in self.types.iter().filter(|(ty, _)| !types.contains_key(ty)) {
            let after = upto.max(*since);
            unbind(
                connection,
                self.id,
                *ty,
                after,
                &json_list(done.iter().copied()),
                now,
            )
            .await?;
        }
        let head = shared.state().head;
        for ty in types.keys().filter(|ty| !self.types.contains_key(ty)) {
            match spec.from {
                StartFrom::Now => bind(connection, self.id, *ty, head).await?,
                StartFrom::Earliest => bind_earliest(connection, self.id, *ty, upto).await?,
            }
        }
        Ok(())
    }
}

/// The numbers of the types; those that were never seen get one.
async fn list_types(
    connection: &mut SqliteConnection,
    shared: &Shared,
    names: &[MessageType],
) -> Result<BTreeMap<i64, MessageType>, StoreError> {
    let known = shared.state().types.clone();
    let mut next = known.next_id();
    let mut types: BTreeMap<i64, MessageType> = BTreeMap::new();
    for name in names {
        if let Some(id) = known.id(name) {
            types.insert(id, name.clone());
        } else if !types.values().any(|listed| listed == name) {
            add_type(connection, next, name).await?;
            types.insert(next, name.clone());
            next += 1;
        }
    }
    Ok(types)
}

/// A handler that was never seen.
async fn create(
    connection: &mut SqliteConnection,
    shared: &Shared,
    spec: &HandlerSpec,
    types: &BTreeMap<i64, MessageType>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let since = match spec.from {
        StartFrom::Now => shared.state().head,
        StartFrom::Earliest => 0,
    };
    let sql = "INSERT INTO handler (name, upto, done, seen) VALUES (?, ?, x'', ?) RETURNING id";
    let id: i64 = query_scalar(sql)
        .bind(&spec.id)
        .bind(since.cast_signed())
        .bind(now.as_millis())
        .fetch_one(&mut *connection)
        .await?;
    for ty in types.keys() {
        match spec.from {
            StartFrom::Now => bind(connection, id, *ty, since).await?,
            StartFrom::Earliest => bind_earliest(connection, id, *ty, since).await?,
        }
    }
    Ok(id)
}

/// Binds a type from the beginning of the log. The cursor never goes back, and there is nothing to deliver where
/// payloads were dropped: what lies below the one or between the others comes as exceptions.
async fn bind_earliest(
    connection: &mut SqliteConnection,
    handler: i64,
    ty: i64,
    upto: u64,
) -> Result<(), StoreError> {
    let dropped: Option<i64> =
        query_scalar("SELECT max(seq) FROM message WHERE type = ? AND dropped = 1")
            .bind(ty)
            .fetch_one(&mut *connection)
            .await?;
    let since = dropped.map_or(0, i64::cast_unsigned);
    bind(connection, handler, ty, since).await?;
    query(
        "INSERT OR IGNORE INTO exception (handler, seq, attempt, crashes, replay, due)
         SELECT ?1, seq, 0, 0, 0, 0 FROM message WHERE type = ?2 AND seq <= ?3 AND dropped = 0",
    )
    .bind(handler)
    .bind(ty)
    .bind(upto.max(since).cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

async fn bind(
    connection: &mut SqliteConnection,
    handler: i64,
    ty: i64,
    since: u64,
) -> Result<(), StoreError> {
    query("INSERT INTO binding (handler, type, since) VALUES (?, ?, ?)")
        .bind(handler)
        .bind(ty)
        .bind(since.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a binding. What it had not settled goes to the dead letters: nothing that was accepted disappears.
async fn unbind(
    connection: &mut SqliteConnection,
    handler: i64,
    ty: i64,
    after: u64,
    done: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let open: Vec<i64> = query_scalar(
        "SELECT seq FROM message WHERE type = ?1 AND seq > ?2 AND seq NOT IN (SELECT value FROM json_each(?3))
         UNION
         SELECT e.seq FROM exception e JOIN message m ON m.seq = e.seq WHERE e.handler = ?4 AND m.type = ?1",
    )
    .bind(ty)
    .bind(after.cast_signed())
    .bind(done)
    .bind(handler)
    .fetch_all(&mut *connection)
    .await?;
    let positions = json_list(open.into_iter().map(i64::cast_unsigned));
    bury(
        connection,
        handler,
        &positions,
        None,
        &Unattempted::TypeUnbound.failure(now),
        now,
    )
    .await?;
    query("DELETE FROM binding WHERE handler = ? AND type = ?")
        .bind(handler)
        .bind(ty)
        .execute(connection)
        .await?;
    Ok(())
}
