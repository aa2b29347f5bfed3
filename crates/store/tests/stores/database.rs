//! A database for one test.

use std::time::Duration;

use coordinator_message::{MessageId, Timestamp};
use coordinator_store::{Entry, Store, StoreOptions};
use sea_orm::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, SqliteConnection,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::server::Server;

/// The server of all tests: its URL, and the server itself if we have started it. Its watch ends it with us.
static OURS: OnceCell<(String, Option<Server>)> = OnceCell::const_new();

/// For a database that hangs, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// An empty database, dropped with the test.
pub(crate) enum Database {
    Sqlite(TempDir),
    Mariadb { server: String, name: String },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn mariadb() -> Self {
        let usual = std::env::var("COORDINATOR_TEST_MYSQL")
            .unwrap_or_else(|_| "mysql://root@127.0.0.1:3306".to_owned());
        let server = OURS.get_or_init(|| async {
            match run(&usual, "DO 0").await {
                Ok(()) => (usual, None),
                Err(_) => {
                    let ours = Server::start();
                    (ours.url(), Some(ours))
                }
            }
        });
        Self::on(server.await.0.clone()).await
    }

    /// On this server.
    pub(crate) async fn on(server: String) -> Self {
        let random = MessageId::new(Timestamp::now()).to_string();
        let name = format!("coordinator_test_{}", random.replace('-', ""));
        let made = run(&server, &format!("CREATE DATABASE {name}")).await;
        made.expect("the test's user may make databases");
        Self::Mariadb { server, name }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                format!("sqlite://{}", folder.path().join("made/store.db").display())
            }
            Self::Mariadb { server, name } => format!("{server}/{name}"),
        }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            url: self.url(),
            max_connections: 4,
            timeout: PATIENCE,
        }
    }

    /// Another host on the same database.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.options()).await.unwrap()
    }

    /// The first host: it has made the tables.
    pub(crate) async fn migrated(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.unwrap();
        store
    }

    /// What somebody does by hand.
    pub(crate) async fn by_hand(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                let sql = AssertSqlSafe(sql.to_owned());
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Mariadb { .. } => run(&self.url(), sql).await.unwrap(),
        }
    }
}

async fn run(url: &str, sql: &str) -> Result<(), sea_orm::sqlx::Error> {
    let mut connection = MySqlConnection::connect(url).await?;
    connection.execute(AssertSqlSafe(sql.to_owned())).await?;
    connection.close().await
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Mariadb { server, name } = self else {
            return;
        };
        let (server, sql) = (server.clone(), format!("DROP DATABASE {name}"));
        // A runtime does not wait within a runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(&server, &sql))
        });
        let dropped = dropping.join();
        if !std::thread::panicking() {
            dropped.unwrap().expect("the database should be dropped");
        }
    }
}

/// Something that an operator did.
pub(crate) fn entry(action: &str, subject: &str) -> Entry {
    Entry {
        actor: "key:ops".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: json!({}),
        reason: None,
        address: Some("127.0.0.1".to_owned()),
    }
}
