//! Takes webhooks of a payment processor: verified, durable before they are answered, and each of them once.
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;

/// A charge settled.
#[message("org.example.charge.settled.v1", key = "order")]
pub struct ChargeSettled {
    /// The order that was paid.
    pub order: String,
    /// What was paid.
    pub amount: Money,
}

/// What the processor posts.
#[data]
pub struct Event {
    /// What happened, such as `charge.settled`.
    pub kind: String,
    /// The order that it is about.
    pub order: String,
    /// What was paid.
    pub amount: Money,
}

/// Settings of the webhook.
#[settings]
pub struct Webhook {
    /// Keys that sign it; several while one replaces another.
    keys: Vec<Secret>,
}

#[plugin]
impl Webhook {
    /// The processor posts here. The signature fits these bytes, or this does not run.
    #[route(post, "/events", verify = standard_webhooks(keys), body_limit = "64KiB")]
    async fn event(&self, ctx: &Context, event: Json<Event>) -> Result<Response, RouteError> {
        let Json(event) = event;
        if event.kind != "charge.settled" {
            return Ok(Response::ok()); // not ours: a 2xx ends it, anything else is sent again for days
        }
        let settled = ChargeSettled {
            order: event.order,
            amount: event.amount,
        };
        // The sender's own id: what it sends again is not handled again.
        ctx.publish(settled)
            .idempotency_key(ctx.webhook_id())
            .await?;
        Ok(Response::accepted())
    }

    /// Books it. A handler runs at least once for each message: write it so that twice does no harm.
    #[handler(max_attempts = 8, backoff = "2s..15m", order = "key")]
    async fn book(&self, _ctx: &Context, settled: ChargeSettled) -> Result<(), HandlerError> {
        tracing::info!(minor = settled.amount.minor, "a charge settled");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
