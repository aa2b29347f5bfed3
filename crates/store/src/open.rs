//! The store itself: opening, asking whether it is there, closing.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend, EntityTrait as _};
use tokio::sync::Mutex;

use crate::connect::{Access, Place};
use crate::entity::counter;
use crate::error::{During as _, OpenError, StoreError};

/// So many timeouts without an answer, and a connection is given up.
const GIVE_UP: u32 = 4;

/// How the store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite://PATH` or `mysql://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// Connections at most.
    pub max_connections: u32,
    /// Every call answers within this time, connecting included.
    pub timeout: Duration,
}

/// An open store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    database: Arc<RwLock<DatabaseConnection>>,
    pool: Arc<dyn Fn() -> DatabaseConnection + Send + Sync>,
    pub(crate) timeout: Duration,
    place: Arc<str>,
    /// Who writes waits here instead of holding a connection: the database lets one in at a time anyway.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("StoreOptions")
            .field("max_connections", &self.max_connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.place).finish()
    }
}

impl Store {
    /// Connects. A SQLite file is made if there is none; tables are [`Store::migrate`]'s.
    ///
    /// # Errors
    ///
    /// If the URL is none of ours, or the database does not let us in within the timeout.
    pub async fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        Self::open_place(Place::parse(&options.url)?, options, Access::Write).await
    }

    /// Connects to look at what is there: nothing is made or changed by it, and a host that runs does not notice. `None`
    /// if there is no such file yet.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_to_read(options: &StoreOptions) -> Result<Option<Self>, OpenError> {
        let place = Place::parse(&options.url)?;
        if place.is_to_be_made() {
            return Ok(None);
        }
        let store = Self::open_place(place, options, Access::Read).await?;
        Ok(Some(store))
    }

    async fn open_place(
        place: Place,
        options: &StoreOptions,
        access: Access,
    ) -> Result<Self, OpenError> {
        let name = place.name();
        let connecting = tokio::time::timeout(options.timeout, place.connect(options, access));
        let pool = connecting.await.map_err(|_| OpenError::Unreachable {
            place: name.clone(),
            source: format!("no answer within {:?}", options.timeout).into(),
        })??;
        Ok(Self {
            database: Arc::new(RwLock::new(pool())),
            pool,
            timeout: options.timeout,
            place: name.into(),
            turn: Arc::default(),
        })
    }

    /// Where it is, for people: no user, no password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether it answers, and has its tables.
    ///
    /// # Errors
    ///
    /// If it does not within the timeout.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.revision().await.map(drop)
    }

    /// The number of the newest revision; 0 if nothing was ever changed. A cheap read: ask it often.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        self.bounded(move |store| async move {
            let row = counter::Entity::find_by_id(counter::REVISION)
                .one(&store.database())
                .await
                .during("read the newest revision")?;
            counter::value(row)
        })
        .await
    }

    /// Closes its connections. Calls afterwards fail.
    pub async fn close(self) {
        // There is nothing to be done about a connection that does not close.
        let _ = self.database().close().await;
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database().get_database_backend() == DbBackend::Sqlite
    }

    /// The connections.
    pub(crate) fn database(&self) -> DatabaseConnection {
        let database = self.database.read();
        database.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for `work` no longer than the timeout. It goes on without its caller, who may be gone any time: a
    /// connection whose conversation is broken off in the middle cannot be used again.
    pub(crate) async fn bounded<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let store = self.clone();
        let work = work(self.clone());
        let working = tokio::spawn(async move {
            let outcome = tokio::time::timeout(store.timeout * GIVE_UP, work).await;
            outcome.unwrap_or_else(|_| {
                store.reconnect();
                Err(StoreError::Timeout(store.timeout))
            })
        });
        match tokio::time::timeout(self.timeout, working).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending.
                Err(_) => Err(StoreError::Timeout(self.timeout)),
            },
            Err(_) => Err(StoreError::Timeout(self.timeout)),
        }
    }

    /// Leaves connections behind that will not be heard of again, such as those to a machine that has vanished.
    fn reconnect(&self) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *database = (self.pool)();
    }
}
