//! Connections: where the database is, and on which terms it is talked to.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use sea_orm::{DatabaseConnection, SqlxMySqlConnector, SqlxSqliteConnector};

use crate::error::{OpenError, sqlx_cause};
use crate::open::StoreOptions;

/// An idle connection to a server is closed after this long: servers and firewalls forget them too.
const IDLE: Duration = Duration::from_secs(300);
/// Between two attempts to reach a server that does not listen yet.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes connections, each when it is needed.
pub(crate) type Pool = Arc<dyn Fn() -> DatabaseConnection + Send + Sync>;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Where a database is.
pub(crate) enum Place {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// MariaDB or MySQL.
    Server(Box<MySqlConnectOptions>),
}

impl Place {
    /// Reads a URL. What it says of a mistake does not repeat the URL, which may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let refuse = |problem: &str| {
            Err(OpenError::Url {
                problem: problem.to_owned(),
            })
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return refuse("it has no scheme");
        };
        match scheme {
            "sqlite" if rest.is_empty() => refuse("it names no file"),
            "sqlite" if rest.contains('?') => refuse("a SQLite file takes no parameters"),
            "sqlite" => Ok(Self::Sqlite(PathBuf::from(rest))),
            "mysql" | "mariadb" => server(rest),
            _ => refuse("its scheme is neither `sqlite` nor `mysql`"),
        }
    }

    /// For people; without user and password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("`{}`", file.display()),
            Self::Server(options) => {
                let name = options.get_database().unwrap_or_default();
                format!("`{name}` at {}:{}", options.get_host(), options.get_port())
            }
        }
    }

    /// A file that is not there yet.
    pub(crate) fn is_to_be_made(&self) -> bool {
        matches!(self, Self::Sqlite(file) if !file.exists())
    }

    /// Connects once, so that what is wrong is known now. Answers what makes the connections, at first and again.
    pub(crate) async fn connect(
        self,
        options: &StoreOptions,
        access: Access,
    ) -> Result<Pool, OpenError> {
        let place = self.name();
        let failed = |error: sea_orm::sqlx::Error| OpenError::Unreachable {
            place,
            source: sqlx_cause(&error),
        };
        match self {
            Self::Sqlite(file) => {
                if access == Access::Write {
                    make_folder(&file)?;
                }
                sqlite(file, options, access).await.map_err(failed)
            }
            Self::Server(server) => mysql(*server, options).await.map_err(failed),
        }
    }
}

fn make_folder(file: &Path) -> Result<(), OpenError> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder {
        file: file.to_owned(),
        source,
    })
}

/// A server's address. Without the name of a database every statement would fail later.
fn server(rest: &str) -> Result<Place, OpenError> {
    let parsed = MySqlConnectOptions::from_str(&format!("mysql://{rest}"));
    let options = parsed.map_err(|_| OpenError::Url {
        // The driver's own words may repeat a part of it.
        problem:
            "expected `mysql://USER:PASSWORD@HOST:PORT/NAME`, special characters percent-encoded"
                .to_owned(),
    })?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(OpenError::Url {
            problem: "it names no database".to_owned(),
        });
    }
    Ok(Place::Server(Box::new(options)))
}

async fn sqlite(
    file: PathBuf,
    options: &StoreOptions,
    access: Access,
) -> Result<Pool, sea_orm::sqlx::Error> {
    let connect = SqliteConnectOptions::new().filename(file);
    let connect = match access {
        Access::Read => connect.read_only(true),
        Access::Write => connect
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered change must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true),
    };
    let connect = connect
        // Another process may write: shorter than our own patience, so that the database's own words are heard.
        .busy_timeout(options.timeout / 2)
        .disable_statement_logging();
    connect.connect().await?.close().await?;
    let terms = SqlitePoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.timeout);
    Ok(Arc::new(move || {
        let pool = terms.clone().connect_lazy_with(connect.clone());
        SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
    }))
}

async fn mysql(
    server: MySqlConnectOptions,
    options: &StoreOptions,
) -> Result<Pool, sea_orm::sqlx::Error> {
    let server = server.disable_statement_logging();
    reach(&server, options.timeout / 2).await?;
    // InnoDB waits 50 s for a row otherwise.
    let patience = options.timeout.as_secs().max(1);
    let terms = MySqlPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.timeout)
        .idle_timeout(IDLE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let wait = format!("SET SESSION innodb_lock_wait_timeout = {patience}");
                connection
                    .execute(sea_orm::sqlx::AssertSqlSafe(wait))
                    .await
                    .map(drop)
            })
        });
    Ok(Arc::new(move || {
        let pool = terms.clone().connect_lazy_with(server.clone());
        SqlxMySqlConnector::from_sqlx_mysql_pool(pool)
    }))
}

/// Connects once, to hear why if it fails: a pool says only that it took too long. A server that starts beside us is
/// given some time to listen.
async fn reach(
    server: &MySqlConnectOptions,
    patience: Duration,
) -> Result<(), sea_orm::sqlx::Error> {
    let began = Instant::now();
    loop {
        match server.connect().await {
            Ok(connection) => return connection.close().await,
            Err(sea_orm::sqlx::Error::Io(error))
                if error.kind() == ErrorKind::ConnectionRefused && began.elapsed() < patience =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
