//! Counts visits. The state is more than the settings: it is made at the start and finished at the end.
#![forbid(unsafe_code)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coordinator_sdk::prelude::*;

/// Settings of the counter.
#[settings]
pub struct Settings {
    /// More than so many visits an hour are refused.
    #[setting(default = 1000_i64)]
    hourly: i64,
}

/// What lives as long as the instance. A change of settings starts a new one beside it.
pub struct Stateful {
    hourly: i64,
    /// In this process, since the start. Calls run at once: state is atomic, or behind a lock.
    here: AtomicU64,
}

#[plugin]
impl Stateful {
    /// Makes the state. If it fails, the plugin is not ready, and an older instance serves on.
    #[start]
    async fn start(settings: Settings, _ctx: &Context) -> Result<Self, StartError> {
        if settings.hourly <= 0 {
            return Err(StartError::new("`hourly` must be above zero"));
        }
        Ok(Self {
            hourly: settings.hourly,
            here: AtomicU64::new(0),
        })
    }

    /// Counts a visit: here, and over all nodes in the cache.
    #[route(post, "/visits", auth = public)]
    async fn visit(&self, ctx: &Context) -> Result<Response, RouteError> {
        let hour = Duration::from_secs(3600);
        let everywhere = ctx.cache().increment("visits", 1, hour).await?;
        if everywhere > self.hourly {
            return Err(RouteError::new(429, "too-many", "come back in an hour").after(hour));
        }
        let here = self.here.fetch_add(1, Ordering::Relaxed) + 1;
        ctx.metrics().counter("visits").add(1);
        Ok(Response::text(
            200,
            format!("{here} here, {everywhere} everywhere"),
        ))
    }

    /// Forgets the hour; one at a time over all nodes.
    #[command]
    async fn forget(&self, ctx: &Context) -> Result<String, CommandError> {
        let lock = ctx.lock("forget", Duration::from_secs(10)).await?;
        let there = ctx.cache().delete("visits").await?;
        lock.release().await?;
        Ok(if there {
            "forgotten"
        } else {
            "there was nothing"
        }
        .to_owned())
    }

    /// Is well until it has counted too much.
    #[health]
    async fn health(&self, _ctx: &Context) -> Result<(), HealthError> {
        if self.here.load(Ordering::Relaxed) < u64::MAX / 2 {
            return Ok(());
        }
        Err(HealthError::new("the counter is about to overflow"))
    }

    /// Says how far it came. Nothing is called after it.
    #[stop]
    async fn stop(&self, _ctx: &Context) {
        tracing::info!(visits = self.here.load(Ordering::Relaxed), "counted");
    }
}

#[cfg(test)]
mod tests;
