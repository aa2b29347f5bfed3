//! Which messages of the log are for a handler, in order.

use std::collections::BTreeMap;

use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{Arguments as _, AssertSqlSafe, Error, SqliteConnection, query_scalar_with};

/// A stretch of the log, as one handler sees it.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    /// Its types, each with the position that it starts after.
    pub(super) types: BTreeMap<i64, u64>,
    /// Positions above this one.
    pub(super) after: u64,
    /// Positions up to this one.
    pub(super) upto: u64,
}

impl Stretch {
    /// The first `limit` positions. Each type is read through its index and merged, so that rare types cost nothing
    /// in a long log.
    pub(super) async fn positions(
        &self,
        connection: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        if self.types.is_empty() || self.after >= self.upto {
            return Ok(Vec::new());
        }
        let one = "SELECT * FROM (SELECT seq FROM message WHERE type = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)";
        let sql = format!(
            "{} ORDER BY seq LIMIT ?",
            vec![one; self.types.len()].join(" UNION ALL ")
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut arguments = SqliteArguments::default();
        for (ty, since) in &self.types {
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
