//! Where a time lies in the log.
//!
//! Positions and times of acceptance grow together, so a time is found by halving the log, without an index that every
//! message would have to be entered into.

use coordinator_message::Timestamp;
use sea_orm::sqlx::{Error, SqliteConnection, query_as};

/// The position from which on every message was accepted at `time` or later, and below which every message was before.
pub(super) async fn first_since(
    connection: &mut SqliteConnection,
    time: Timestamp,
) -> Result<u64, Error> {
    let (mut low, mut high): (i64, i64) = query_as(
        "SELECT coalesce((SELECT min(seq) FROM message), 0), coalesce((SELECT max(seq) FROM message), -1) + 1",
    )
    .fetch_one(&mut *connection)
    .await?;
    while low < high {
        let middle = low + (high - low) / 2;
        let sql =
            "SELECT seq, accepted FROM message WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1";
        let found: Option<(i64, i64)> = query_as(sql)
            .bind(middle)
            .bind(high)
            .fetch_optional(&mut *connection)
            .await?;
        match found {
            Some((position, accepted)) if accepted < time.as_millis() => low = position + 1,
            // Nothing is there, or nothing before.
            _ => high = middle,
        }
    }
    Ok(low.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::{Connection as _, query};

    use super::*;

    async fn log(messages: &[(i64, i64)]) -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let table = "CREATE TABLE message (seq INTEGER PRIMARY KEY, accepted INTEGER NOT NULL)";
        query(table).execute(&mut connection).await.unwrap();
        for (position, accepted) in messages {
            query("INSERT INTO message VALUES (?, ?)")
                .bind(position)
                .bind(accepted)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection
    }

    #[tokio::test]
    async fn a_time_parts_a_log_with_gaps_wherever_it_lies() {
        let messages = [(3, 10), (4, 10), (9, 12), (700, 12), (701, 20), (9000, 31)];
        let mut connection = log(&messages).await;
        for time in 8..34 {
            let first = first_since(&mut connection, Timestamp::from_millis(time))
                .await
                .unwrap();
            for (position, accepted) in messages {
                let since = position >= first.cast_signed();
                assert_eq!(since, accepted >= time, "{position} at {time}: {first}");
            }
        }
    }

    #[tokio::test]
    async fn an_empty_log_has_no_place_for_a_time() {
        let mut connection = log(&[]).await;
        let first = first_since(&mut connection, Timestamp::from_millis(5)).await;
        assert_eq!(first.unwrap(), 0);
    }
}
