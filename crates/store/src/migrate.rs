//! Bringing the tables up to date, once, whoever else tries.

#[path = "../../../migrations/store/m0001_platform.rs"]
mod m0001_platform;

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    FromQueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::prelude::{
    IntoIden as _, Query, SchemaManager, Table, TableCreateStatement,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::Serialize;

use crate::error::{During as _, StoreError};
use crate::open::Store;

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// Its name, such as `m0001_platform`.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// The table of what was applied. Not the usual name: the database may be shared with another program.
const APPLIED: &str = "coordinator_migrations";

/// For a server that hangs, not an expectation: making tables may take its time.
const PATIENCE: Duration = Duration::from_secs(300);

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_platform::Platform)]
    }

    fn migration_table_name() -> sea_orm::DynIden {
        APPLIED.into_iden()
    }
}

impl Store {
    /// The steps of the schema, and which of them the database has. Changes nothing.
    ///
    /// # Errors
    ///
    /// If the database fails, or was migrated by a later version of this program.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        self.bounded(move |store| async move {
            let found = applied(&store.database()).await?;
            let ours: Vec<String> = Migrator::migrations()
                .iter()
                .map(|migration| migration.name().to_owned())
                .collect();
            let newer: Vec<&str> = found
                .iter()
                .filter(|name| !ours.contains(name))
                .map(String::as_str)
                .collect();
            if !newer.is_empty() {
                return Err(StoreError::Newer(format!("`{}`", newer.join("`, `"))));
            }
            let with_state = |name: String| Migration {
                applied: found.contains(&name),
                name,
            };
            Ok(ours.into_iter().map(with_state).collect())
        })
        .await
    }

    /// Applies what is missing, and answers the names of that. Hosts that start together do it once: the others wait.
    ///
    /// # Errors
    ///
    /// If the database fails or does not let us make tables, or was migrated by a later version of this program.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        if self.pending().await?.is_empty() {
            return Ok(Vec::new());
        }
        let migrating = async {
            if self.is_sqlite() {
                self.migrate_file().await
            } else {
                self.migrate_server().await
            }
        };
        tokio::time::timeout(PATIENCE, migrating)
            .await
            .unwrap_or(Err(StoreError::Timeout(PATIENCE)))
    }

    async fn pending(&self) -> Result<Vec<String>, StoreError> {
        let all = self.migrations().await?.into_iter();
        let missing = all.filter(|migration| !migration.applied);
        Ok(missing.map(|migration| migration.name).collect())
    }

    /// SQLite makes tables within a transaction: all of it is there or none, and who comes second finds it done.
    async fn migrate_file(&self) -> Result<Vec<String>, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.database().begin_with_options(options).await;
        let transaction = begun.during("begin the migration")?;
        let missing = pending_within(&transaction).await?;
        Migrator::up(&transaction, None)
            .await
            .during("migrate the tables")?;
        transaction.commit().await.during("commit the migration")?;
        Ok(missing)
    }

    /// MariaDB commits every statement that makes a table, so a lock of its own keeps the others out. It belongs to the
    /// connection that the transaction holds, and goes with it.
    async fn migrate_server(&self) -> Result<Vec<String>, StoreError> {
        let holder = self
            .database()
            .begin()
            .await
            .during("begin the migration")?;
        if !self.take_lock(&holder).await? {
            return Err(StoreError::Migrating(self.timeout));
        }
        // Looked up after the lock was taken: another host may have been faster.
        let outcome = async {
            let missing = self.pending().await?;
            Migrator::up(&self.database(), None)
                .await
                .during("migrate the tables")?;
            Ok(missing)
        }
        .await;
        let released = release_lock(&holder).await.during("end the migration");
        let missing = outcome?;
        released?;
        holder.commit().await.during("end the migration")?;
        Ok(missing)
    }

    async fn take_lock(&self, holder: &DatabaseTransaction) -> Result<bool, StoreError> {
        #[derive(FromQueryResult)]
        struct Taken {
            taken: Option<i64>,
        }
        // The name is the server's, not the database's.
        let sql = "SELECT GET_LOCK(CONCAT('coordinator:', DATABASE()), ?) AS taken";
        let seconds = self.timeout.as_secs().max(1);
        let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, [seconds.into()]);
        let taken = Taken::find_by_statement(statement).one(holder).await;
        let taken = taken.during("lock the migration")?;
        Ok(taken.and_then(|row| row.taken) == Some(1))
    }
}

/// Given back by hand: the pool keeps the connection.
async fn release_lock(holder: &DatabaseTransaction) -> Result<(), DbErr> {
    let sql = "DO RELEASE_LOCK(CONCAT('coordinator:', DATABASE()))";
    holder.execute_unprepared(sql).await.map(drop)
}

/// Names of the steps that the database has.
async fn applied(database: &DatabaseConnection) -> Result<BTreeSet<String>, StoreError> {
    let manager = SchemaManager::new(database);
    let has_table = manager.has_table(APPLIED).await;
    if !has_table.during("look for the tables")? {
        return Ok(BTreeSet::new());
    }
    let mut query = Query::select();
    query.column("version").from(APPLIED);
    let rows = database.query_all(&query).await;
    let names: Result<_, DbErr> = rows
        .during("read which migrations were applied")?
        .iter()
        .map(|row| row.try_get("", "version"))
        .collect();
    names.during("read which migrations were applied")
}

async fn pending_within(transaction: &DatabaseTransaction) -> Result<Vec<String>, StoreError> {
    let pending = Migrator::get_pending_migrations(transaction).await;
    let pending = pending.during("read which migrations were applied")?;
    let names = pending.iter().map(|migration| migration.name().to_owned());
    Ok(names.collect())
}

/// A table that is made unless it is there. Text is compared letter by letter on both databases.
fn table(manager: &SchemaManager<'_>, name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    if manager.get_database_backend() == DbBackend::MySql {
        table
            .engine("InnoDB")
            .character_set("utf8mb4")
            .collate("utf8mb4_bin");
    }
    table
}
