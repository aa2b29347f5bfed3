//! The engine for many nodes: Redis 7 Streams.
//!
//! One stream for each lane and partition, one consumer group for each handler. What failed, waits or is parked is in
//! hashes and sorted sets beside it. Each transition is one script, or a transaction that ends with one, so it happens
//! whole or not at all. A node holds what it was given while its heartbeat is there; [`keys`](self) has the layout.
//!
//! Idempotency keys are looked up in the shard of their message: with more than one partition, the same key with
//! another ordering key may be another message.

mod append;
mod browse;
mod codec;
mod dead;
mod delayed;
mod deliveries;
mod detail;
mod entries;
mod error;
mod feed;
mod fresh;
mod front;
mod handler;
mod held;
mod hints;
mod keys;
mod leave;
mod life;
mod link;
mod made;
mod maintain;
mod notify;
mod open;
mod operate;
mod outbox;
mod pace;
mod places;
mod publish;
mod read;
mod registry;
mod roles;
mod settings;
mod settle;
mod shard;
mod state;
mod stats;
mod strays;
mod transfer;
mod trouble;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use ::redis::Client;
use async_trait::async_trait;
use coordinator_message::{MessageId, Timestamp};

pub use self::error::OpenError;
use self::error::StoreError;
use self::link::Link;
use self::state::{Parts, Shared};
use crate::{
    Absence, Clock, Control, DeadLetter, DeadLetterQuery, Deliveries, Discard, Durability,
    HandlerSpec, Journal, JournalError, Limits, MessageDetail, MessageQuery, MessageRecord,
    NewMessage, Page, PublishError, Receipt, Record, Replay, Replayed, Settle, SettleOutcome,
    Stats, Tick,
};

/// What a refused publisher is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How to open the journal.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port[/db]`.
    pub url: String,
    /// Begins every key: several journals may share a server. Without braces.
    pub prefix: String,
    /// Into how many streams a lane is divided, by ordering key. All nodes say the same; at least 1.
    pub partitions: u32,
    /// What receipts promise; opening fails if the server's settings do not give it.
    pub durability: Durability,
    /// The operator states that every write is synced to disk, for servers that do not tell their settings.
    pub asserted: bool,
    /// What is kept, and how much.
    pub limits: Limits,
    /// The time. [`crate::SystemClock`] outside tests. All nodes should agree within a second.
    pub clock: Arc<dyn Clock>,
    /// A node that was not heard of for so long has lost what it was given. Real time.
    pub node_timeout: Duration,
    /// So many bytes of payloads are appended by plain commands before a script judges them, instead of by the script, to
    /// which they would be a burden. [`RedisOptions::MUCH`] outside tests.
    pub much: usize,
}

/// The journal on a Redis server. See [`Journal`].
#[derive(Debug)]
pub struct RedisJournal {
    shared: Arc<Shared>,
}

// === impl RedisOptions ===

impl RedisOptions {
    /// What passes through a script costs the server two microseconds for each KiB, and sending the code of a script along
    /// costs it twenty, whatever follows.
    pub const MUCH: usize = 16 << 10;
}

impl std::fmt::Debug for RedisOptions {
    /// Without the address: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("partitions", &self.partitions)
            .field("durability", &self.durability)
            .field("asserted", &self.asserted)
            .field("limits", &self.limits)
            .field("node_timeout", &self.node_timeout)
            .finish_non_exhaustive()
    }
}

// === impl RedisJournal ===

impl RedisJournal {
    /// Connects, checks the server's settings, and starts what runs beside the callers.
    ///
    /// To be called on the tokio runtime that is to run those tasks for as long as the journal is open.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: not an address, not reachable, or not fit for what is asked.
    pub async fn open(options: RedisOptions) -> Result<Self, OpenError> {
        let client = Client::open(options.url).map_err(|source| OpenError::Address { source })?;
        let connect = || Link::connect(&client);
        let unreachable = |source: ::redis::RedisError| OpenError::Unreachable {
            source: Arc::new(source),
        };
        let (intake, hot, look) =
            tokio::try_join!(connect(), connect(), connect()).map_err(unreachable)?;
        let engine = settings::check(&look, options.durability, options.asserted).await?;
        let shared = Arc::new(Shared::new(Parts {
            clock: options.clock,
            limits: options.limits,
            much: options.much,
            durability: options.durability,
            asserted: options.asserted,
            prefix: options.prefix,
            partitions: options.partitions,
            node_timeout: options.node_timeout,
            client,
            intake,
            hot,
            look,
            engine,
        }));
        made::check(&shared).await?;
        tokio::spawn(settings::watch(shared.clone()));
        registry::learn_shards(&shared)
            .await
            .map_err(OpenError::from_store)?;
        transfer::look(&shared)
            .await
            .map_err(OpenError::from_store)?;
        // Who asks whether somebody is here must not find a node that has yet to say so.
        registry::announce(&shared)
            .await
            .map_err(OpenError::from_store)?;
        tokio::spawn(life::run(shared.clone()));
        tokio::spawn(notify::run(shared.clone()));
        tokio::spawn(notify::look_around(shared.clone()));
        tokio::spawn(outbox::run(shared.clone()));
        tokio::spawn(delayed::run(shared.clone()));
        Ok(Self { shared })
    }
}

impl Drop for RedisJournal {
    fn drop(&mut self) {
        // What runs beside the callers ends; other nodes take over what this one held once its heartbeat is gone.
        self.shared.close();
    }
}

/// A failure as what its caller is told.
fn failed(action: &'static str) -> impl Fn(StoreError) -> JournalError {
    move |error| error.during(action)
}

#[async_trait]
impl Journal for RedisJournal {
    async fn publish(&self, batch: Vec<NewMessage>) -> Result<Vec<Receipt>, PublishError> {
        match publish::publish(&self.shared, batch).await {
            Ok(Ok(receipts)) => Ok(receipts),
            Ok(Err(full)) => Err(PublishError::Full {
                what: full.0,
                retry_after: RETRY_AFTER,
            }),
            Err(error) => Err(PublishError::Unavailable {
                retry_after: RETRY_AFTER,
                source: error.during("store messages"),
            }),
        }
    }

    async fn open(&self, handler: HandlerSpec) -> Result<Box<dyn Deliveries>, JournalError> {
        open::open(&self.shared, handler)
            .await
            .map_err(failed("open a handler"))
    }

    async fn leave(&self, handler: &str, absence: Absence) -> Result<(), JournalError> {
        leave::leave(&self.shared, handler, absence)
            .await
            .map_err(failed("close a handler"))
    }

    async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<SettleOutcome>, JournalError> {
        settle::settle(&self.shared, batch)
            .await
            .map_err(failed("settle deliveries"))
    }

    async fn replay(&self, batch: Vec<Replay>) -> Result<Vec<Replayed>, JournalError> {
        operate::replay(&self.shared, batch)
            .await
            .map_err(failed("schedule a replay"))
    }

    async fn discard(&self, batch: Vec<Discard>) -> Result<Vec<u64>, JournalError> {
        operate::discard(&self.shared, batch)
            .await
            .map_err(failed("discard deliveries"))
    }

    async fn control(&self, handler: &str, control: Control) -> Result<Option<u64>, JournalError> {
        operate::control(&self.shared, handler, control)
            .await
            .map_err(failed("control a handler"))
    }

    async fn lead(
        &self,
        role: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, JournalError> {
        roles::lead(&self.shared, role, holder, ttl)
            .await
            .map_err(failed("take a role"))
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), JournalError> {
        roles::resign(&self.shared, role, holder)
            .await
            .map_err(failed("give a role up"))
    }

    async fn last_tick(&self, schedule: &str) -> Result<Option<Timestamp>, JournalError> {
        roles::last(&self.shared, schedule)
            .await
            .map_err(failed("read a schedule"))
    }

    async fn tick(&self, tick: Tick) -> Result<bool, JournalError> {
        roles::tick(&self.shared, tick)
            .await
            .map_err(failed("tick"))
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<MessageRecord>, JournalError> {
        browse::messages(&self.shared, query)
            .await
            .map_err(failed("list messages"))
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, JournalError> {
        detail::detail(&self.shared, id)
            .await
            .map_err(failed("read a message"))
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter>, JournalError> {
        dead::letters(&self.shared, query)
            .await
            .map_err(failed("list dead letters"))
    }

    async fn stats(&self) -> Result<Stats, JournalError> {
        stats::stats(&self.shared).await.map_err(failed("count"))
    }

    async fn export(&self, cursor: Option<String>) -> Result<Page<Record>, JournalError> {
        transfer::export(&self.shared, cursor)
            .await
            .map_err(failed("export"))
    }

    async fn import(&self, batch: Vec<Record>) -> Result<(), JournalError> {
        transfer::import(&self.shared, batch)
            .await
            .map_err(failed("import"))
    }

    async fn maintain(&self) -> Result<(), JournalError> {
        maintain::maintain(&self.shared)
            .await
            .map_err(failed("apply the retention"))
    }

    async fn probe(&self) -> Result<(), JournalError> {
        maintain::probe(&self.shared).await.map_err(failed("write"))
    }

    async fn close(&self) {
        if self.shared.close() {
            self.shared.fed().await;
            life::give_back(&self.shared).await;
            if let Err(error) = registry::withdraw(&self.shared).await {
                // It expires by itself.
                tracing::debug!(error = %error, "other nodes were not told what is closed here");
            }
        }
    }
}
