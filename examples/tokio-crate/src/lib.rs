//! Uses crates that need tokio, and that spawn: `reqwest` gives each connection a task, `redis` each client.
//!
//! `#[plugin(tokio)]` and the SDK's feature `tokio` are all it takes: each instance has a small runtime of its own, made
//! when it is first used. It goes with the instance, and what was spawned on it too.
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// A page is to be measured.
#[message("org.example.page.wanted.v1", key = "url")]
pub struct PageWanted {
    /// Where it is.
    pub url: String,
}

/// Settings of the pages.
#[settings]
pub struct Settings {
    /// Where sizes are kept, such as `redis://127.0.0.1:6379`.
    redis: Secret,
}

/// A client of each kind, as long as the instance lives.
pub struct Pages {
    http: reqwest::Client,
    redis: redis::Client,
    connection: OnceCell<MultiplexedConnection>,
}

#[plugin(tokio)]
impl Pages {
    /// Makes the clients.
    #[start]
    async fn start(settings: Settings, _ctx: &Context) -> Result<Self, StartError> {
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            redis: redis::Client::open(settings.redis.expose())?,
            connection: OnceCell::new(),
        })
    }

    /// Measures a page and keeps its size.
    #[handler]
    async fn measure(&self, _ctx: &Context, wanted: PageWanted) -> Result<(), HandlerError> {
        let size = size(self.http.clone(), wanted.url.clone()).await?;
        let mut connection = self.connection().await?;
        let () = connection.set(wanted.url, size).await?;
        Ok(())
    }

    /// Measures two pages at once, each in a task of its own, and answers the sum.
    #[route(get, "/sum", auth = public)]
    async fn sum(&self, _ctx: &Context, request: Request) -> Result<Response, RouteError> {
        let mut tasks = JoinSet::new();
        for name in ["a", "b"] {
            let url = request.query(name).unwrap_or_default();
            tasks.spawn(size(self.http.clone(), url));
        }
        let mut sum = 0;
        while let Some(measured) = tasks.join_next().await {
            sum += measured??;
        }
        Ok(Response::text(200, sum.to_string()))
    }

    /// The size that was kept for a page.
    #[route(get, "/size", auth = public)]
    async fn kept(&self, _ctx: &Context, request: Request) -> Result<Response, RouteError> {
        let url = request.query("url").unwrap_or_default();
        let mut connection = self.connection().await?;
        let size: Option<usize> = connection.get(url).await?;
        match size {
            Some(size) => Ok(Response::text(200, size.to_string())),
            None => Err(RouteError::new(
                404,
                "not-measured",
                "this page was not measured",
            )),
        }
    }
}

impl Pages {
    /// One connection for all calls; `redis` drives it in a task that it spawns.
    async fn connection(&self) -> Result<MultiplexedConnection, redis::RedisError> {
        let connect = || self.redis.get_multiplexed_async_connection();
        self.connection.get_or_try_init(connect).await.cloned()
    }
}

async fn size(http: reqwest::Client, url: String) -> Result<usize, reqwest::Error> {
    let answer = http.get(url).send().await?.error_for_status()?;
    Ok(answer.bytes().await?.len())
}

#[cfg(test)]
mod tests;
