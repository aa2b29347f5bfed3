//! The upper bound of the embedded engine: the same rows, inserted many at a time, each commit synced.

use std::time::Instant;

use anyhow::Result;
use sea_orm::sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous,
};
use sea_orm::sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    query_with, raw_sql,
};
use serde_json::{Value, json};

use crate::Measures;
use crate::load::per_second;
use crate::stage::Maker;

/// Rows of one commit: as many as there are publishers in a load.
const ROWS: usize = 256;
/// Rows of one statement.
const STATEMENT: usize = 128;

/// Rows a second.
pub(crate) async fn measure(measures: &Measures) -> Result<Value> {
    let options = SqliteConnectOptions::new()
        .filename(measures.dir.join("raw.db"))
        .create_if_missing(true)
        .page_size(8192)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(16)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let table = "CREATE TABLE message (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, type INTEGER, accepted INTEGER, \
                 source TEXT, data BLOB NOT NULL) STRICT";
    raw_sql(table).execute(&mut connection).await?;
    let sql = format!(
        "INSERT INTO message (id, type, accepted, source, data) VALUES {}",
        vec!["(?, ?, ?, ?, ?)"; STATEMENT].join(", ")
    );
    let maker = Maker::new(measures);
    let commits = measures.messages / ROWS;
    let begun = Instant::now();
    for commit in 0..commits {
        let mut transaction = connection.begin().await?;
        for statement in 0..ROWS / STATEMENT {
            let mut arguments = SqliteArguments::default();
            for row in 0..STATEMENT {
                let made = maker.make(commit * ROWS + statement * STATEMENT + row);
                let message = made.envelope;
                let failed = anyhow::Error::from_boxed;
                arguments
                    .add(message.id.as_bytes().as_slice())
                    .map_err(failed)?;
                arguments.add(1_i64).map_err(failed)?;
                arguments.add(message.time.as_millis()).map_err(failed)?;
                arguments.add(message.source.as_str()).map_err(failed)?;
                arguments.add(&message.data[..]).map_err(failed)?;
            }
            query_with(AssertSqlSafe(sql.as_str()), arguments)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    let rows = (commits * ROWS) as u64;
    let rate = per_second(rows, begun.elapsed());
    connection.close().await?;
    Ok(json!({ "rows_per_s": rate }))
}
