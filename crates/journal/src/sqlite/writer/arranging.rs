//! Exception rows of a handler, brought in line with whether it keeps the order of its keys.

use sea_orm::sqlx::{SqliteConnection, query, query_scalar};

use crate::sqlite::error::StoreError;

/// To be called when the handler is opened, once its bindings are what they should be.
pub(super) async fn arrange(
    connection: &mut SqliteConnection,
    handler: i64,
    ordered: bool,
) -> Result<(), StoreError> {
    let before: bool = query_scalar("SELECT ordered FROM handler WHERE id = ?")
        .bind(handler)
        .fetch_one(&mut *connection)
        .await?;
    if before != ordered {
        query("UPDATE handler SET ordered = ? WHERE id = ?")
            .bind(ordered)
            .bind(handler)
            .execute(&mut *connection)
            .await?;
    }
    if ordered {
        take_part(connection, handler).await?;
        pass_on(connection, handler).await
    } else if before {
        let sql =
            "UPDATE exception SET state = 0, lane = NULL, ordering_key = NULL WHERE handler = ?";
        query(sql).bind(handler).execute(connection).await?;
        Ok(())
    } else {
        Ok(())
    }
}

/// Lets rows take part in the order that were written while there was none, or for a type that was bound just now.
async fn take_part(connection: &mut SqliteConnection, handler: i64) -> Result<(), StoreError> {
    query(
        "UPDATE exception SET state = 1, ordering_key = m.ordering_key, lane = coalesce(m.lane, t.name)
         FROM message m JOIN type t ON t.id = m.type
         WHERE exception.handler = ? AND exception.ordering_key IS NULL AND exception.replay = 0
           AND m.seq = exception.seq AND m.ordering_key IS NOT NULL",
    )
    .bind(handler)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives every key that nobody holds to the oldest row that waits for it.
async fn pass_on(connection: &mut SqliteConnection, handler: i64) -> Result<(), StoreError> {
    query(
        "UPDATE exception AS e SET state = 0 WHERE e.handler = ? AND e.state = 1 AND NOT EXISTS (
             SELECT 1 FROM exception o
             WHERE o.handler = e.handler AND o.ordering_key = e.ordering_key AND o.lane = e.lane
               AND (o.seq < e.seq OR o.state <> 1))",
    )
    .bind(handler)
    .execute(connection)
    .await?;
    Ok(())
}
