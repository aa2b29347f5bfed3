//! Pages of dead letters.

use std::sync::Arc;

use sea_orm::sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{MOST, read_cursor, read_time};
use crate::sqlite::burial::read_failure;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE};
use crate::sqlite::state::Shared;
use crate::{DeadLetter, DeadLetterQuery, Page};

/// See [`crate::Journal::dead_letters`].
pub(in crate::sqlite) async fn dead_letters(
    shared: &Shared,
    query: DeadLetterQuery,
) -> Result<Page<DeadLetter>, StoreError> {
    let limit = query.limit.clamp(1, MOST);
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    let Some((mut sql, types)) = ({
        let state = shared.state();
        let ty = query.ty.as_ref().map(|name| state.types.id(name));
        let handler = query
            .handler
            .as_ref()
            .map(|name| state.handler_named(name).map(|(id, _)| id));
        match (ty, handler) {
            (Some(None), _) | (_, Some(None)) => None,
            (ty, handler) => Some((
                select(&query, ty.flatten(), handler.flatten())?,
                state.types.clone(),
            )),
        }
    }) else {
        return Ok(nothing);
    };
    sql.push(" ORDER BY n DESC LIMIT ")
        .push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    let mut connection = shared.readers.acquire().await?;
    let mut found = sql.build().fetch_all(&mut *connection).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = match found.last() {
        Some(last) if more => Some(last.try_get::<i64, _>(0)?.to_string()),
        _ => None,
    };
    let read = |row: &sea_orm::sqlx::sqlite::SqliteRow| {
        Ok::<_, StoreError>(DeadLetter {
            handler: row.try_get(1)?,
            died: read_time(row.try_get(2)?),
            attempts: row.try_get(3)?,
            failure: read_failure(row.try_get(4)?)?,
            message: Arc::new(rows::read_message(row, 5, &types)?.envelope),
        })
    };
    Ok(Page {
        items: found.iter().map(read).collect::<Result<_, _>>()?,
        next,
    })
}

fn select(
    query: &DeadLetterQuery,
    ty: Option<i64>,
    handler: Option<i64>,
) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let before = query
        .cursor
        .as_deref()
        .map_or(Ok(u64::MAX >> 1), read_cursor)?;
    let mut sql = QueryBuilder::new(format!(
        "SELECT n, (SELECT name FROM handler WHERE handler.id = dead.handler), died, attempts, failure, {MESSAGE}
         FROM dead WHERE n < "
    ));
    sql.push_bind(before.cast_signed());
    if let Some(ty) = ty {
        sql.push(" AND type = ").push_bind(ty);
    }
    if let Some(handler) = handler {
        sql.push(" AND handler = ").push_bind(handler);
    }
    if let Some(since) = query.since {
        sql.push(" AND died >= ").push_bind(since.as_millis());
    }
    if let Some(until) = query.until {
        sql.push(" AND died < ").push_bind(until.as_millis());
    }
    Ok(sql)
}
