//! Which messages of the log are for a handler, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{
    Arguments as _, AssertSqlSafe, Error, SqliteConnection, query_as, query_scalar_with,
};

/// Most selects in one statement; SQLite has a limit of 500.
const MOST_SELECTS: usize = 64;

/// A stretch of the log, as one handler sees it.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    /// Its types, each with the position that it starts after.
    pub(super) types: Arc<BTreeMap<i64, u64>>,
    /// Positions above this one.
    pub(super) after: u64,
    /// Positions up to this one.
    pub(super) upto: u64,
}

impl Stretch {
    /// The first `limit` positions. Each type is read through its index and merged, so that rare types cost nothing
    /// in a long log. So many types that this would be the greater part of the work are picked out of the log itself.
    pub(super) async fn positions(
        &self,
        connection: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        if self.types.is_empty() || self.after >= self.upto {
            Ok(Vec::new())
        } else if self.types.len() > MOST_SELECTS {
            self.picked(connection, limit).await
        } else {
            self.merged(connection, limit).await
        }
    }

    async fn picked(
        &self,
        connection: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let (mut positions, mut after) = (Vec::new(), self.after);
        // Most of the log is likely to be for so many types.
        let page = i64::try_from(limit).unwrap_or(i64::MAX);
        loop {
            let rows: Vec<(i64, i64)> = query_as(
                "SELECT seq, type FROM message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            )
            .bind(after.cast_signed())
            .bind(self.upto.cast_signed())
            .bind(page)
            .fetch_all(&mut *connection)
            .await?;
            let Some((last, _)) = rows.last() else { break };
            after = last.cast_unsigned();
            let own = rows.iter().filter_map(|(seq, ty)| {
                let position = seq.cast_unsigned();
                let from = self.types.get(ty)?;
                (position > *from).then_some(position)
            });
            positions.extend(own);
            if positions.len() >= limit {
                break;
            }
        }
        positions.truncate(limit);
        Ok(positions)
    }

    async fn merged(
        &self,
        connection: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let one = "SELECT * FROM (SELECT seq FROM message WHERE type = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)";
        let sql = format!(
            "{} ORDER BY seq LIMIT ?",
            vec![one; self.types.len()].join(" UNION ALL ")
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut arguments = SqliteArguments::default();
        for (ty, since) in &*self.types {
            arguments.add(ty).map_err(Error::Encode)?;
            arguments
                .add(self.after.max(*since).cast_signed())
                .map_err(Error::Encode)?;
            arguments
                .add(self.upto.cast_signed())
                .map_err(Error::Encode)?;
            arguments.add(limit).map_err(Error::Encode)?;
        }
        arguments.add(limit).map_err(Error::Encode)?;
        let found: Vec<i64> = query_scalar_with(AssertSqlSafe(sql), arguments)
            .fetch_all(connection)
            .await?;
        Ok(found.into_iter().map(i64::cast_unsigned).collect())
    }
}
