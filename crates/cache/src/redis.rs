//! The cache that several hosts share.
//!
//! Each call has its own connection of a pool. A call that gets no answer fails in time, and the connection is tested
//! before anybody uses it again: a server that comes back is simply there.

mod listen;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, Script,
};
use deadpool_redis::redis::{ScriptInvocation, cmd};
use deadpool_redis::{Connection, Manager, Pool, Runtime};

use crate::engine::Engine;
use crate::{CacheError, CacheOptions, OpenError, Subscription};

/// A Redis server.
pub(crate) struct Redis {
    pool: Pool,
    client: Client,
    timeout: Duration,
    scripts: Scripts,
}

/// What takes more than one command, and must not be seen half done.
struct Scripts {
    incr: Script,
    extend: Script,
    release: Script,
}

impl Redis {
    pub(crate) fn open(options: &CacheOptions) -> Result<Self, OpenError> {
        // The driver's own words may repeat a part of the URL.
        let refused = |_| OpenError::Url {
            problem: "expected `redis://USER:PASSWORD@HOST:PORT/DATABASE`".to_owned(),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout));
        let url = options.url.as_str();
        let client = Client::open(url).map_err(refused)?;
        let manager = Manager::new_with_config(url, config).map_err(refused)?;
        let pool = Pool::builder(manager)
            .max_size(options.max_connections.max(1))
            .wait_timeout(Some(options.timeout))
            .create_timeout(Some(options.timeout))
            .recycle_timeout(Some(options.timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is given, which the timeouts need");
        Ok(Self {
            pool,
            client,
            timeout: options.timeout,
            scripts: Scripts {
                incr: Script::new(include_str!("redis/incr.lua")),
                extend: Script::new(include_str!("redis/extend.lua")),
                release: Script::new(include_str!("redis/release.lua")),
            },
        })
    }

    async fn connection(&self) -> Result<Connection, CacheError> {
        let connection = self.pool.get().await;
        connection.map_err(|error| CacheError::Server(Box::new(error)))
    }

    async fn run<T: FromRedisValue>(&self, command: Cmd) -> Result<T, CacheError> {
        self.bounded(async {
            let mut connection = self.connection().await?;
            command.query_async(&mut connection).await.map_err(failed)
        })
        .await
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CacheError> {
        self.bounded(async {
            let mut connection = self.connection().await?;
            script.invoke_async(&mut connection).await.map_err(failed)
        })
        .await
    }

    /// One time for all of it: waiting for a connection, making it, and the answer.
    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or(Err(CacheError::Timeout(self.timeout)))
    }
}

#[async_trait]
impl Engine for Redis {
    async fn get(&self, key: String) -> Result<Option<Bytes>, CacheError> {
        let value: Option<Vec<u8>> = self.run(cmd("GET").arg(key).take()).await?;
        Ok(value.map(Bytes::from))
    }

    async fn set(
        &self,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<(), CacheError> {
        self.run(set(&key, &value, ttl)).await
    }

    async fn add(
        &self,
        key: String,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, CacheError> {
        let done: Option<String> = self.run(set(&key, &value, ttl).arg("NX").take()).await?;
        Ok(done.is_some())
    }

    async fn delete(&self, key: String) -> Result<bool, CacheError> {
        let deleted: u64 = self.run(cmd("DEL").arg(key).take()).await?;
        Ok(deleted > 0)
    }

    async fn incr(&self, key: String, by: i64, ttl: Option<Duration>) -> Result<i64, CacheError> {
        let ttl = ttl.map(millis).unwrap_or_default();
        // As text: a number of a script has 53 bits.
        let sum: String = self
            .invoke(self.scripts.incr.key(key).arg(by).arg(ttl))
            .await?;
        sum.parse().map_err(|_| CacheError::NotANumber)
    }

    async fn hold(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError> {
        self.add(key, token.into(), Some(ttl)).await
    }

    async fn extend(&self, key: String, token: String, ttl: Duration) -> Result<bool, CacheError> {
        let script = &self.scripts.extend;
        self.invoke(script.key(key).arg(token).arg(millis(ttl)))
            .await
    }

    async fn release(&self, key: String, token: String) -> Result<bool, CacheError> {
        self.invoke(self.scripts.release.key(key).arg(token)).await
    }

    async fn publish(&self, channel: String, message: Bytes) -> Result<(), CacheError> {
        let command = cmd("PUBLISH").arg(channel).arg(&message[..]).take();
        self.run::<u64>(command).await.map(drop)
    }

    fn subscribe(&self, channel: String) -> Subscription {
        listen::subscribe(self.client.clone(), channel, self.timeout)
    }

    async fn probe(&self) -> Result<(), CacheError> {
        self.run::<String>(cmd("PING")).await.map(drop)
    }
}

fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = cmd("SET");
    command.arg(key).arg(value);
    if let Some(ttl) = ttl {
        command.arg("PX").arg(millis(ttl));
    }
    command
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// The two refusals that are the caller's own are told by their words alone.
fn failed(error: RedisError) -> CacheError {
    let text = error.to_string();
    if text.contains("not an integer") || text.contains("would overflow") {
        CacheError::NotANumber
    } else {
        CacheError::Server(Box::new(error))
    }
}
