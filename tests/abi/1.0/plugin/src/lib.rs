//! Uses everything that ABI 1.0 had: a route, a handler, publishing, an HTTP call, a start of its own.
#![forbid(unsafe_code)]
use std::time::Duration;

use coordinator_sdk::prelude::*;

/// An order was placed.
#[message("org.example.order.placed.v1", key = "number")]
pub struct OrderPlaced {
    /// Its number.
    pub number: String,
    /// What it comes to, in minor units.
    pub amount: i64,
}

/// An order was booked.
#[message("org.example.order.booked.v1", key = "number")]
pub struct OrderBooked {
    /// Its number.
    pub number: String,
    /// What the ledger answered.
    pub receipt: String,
}

/// Settings.
#[settings]
pub struct Settings {
    /// Where orders are booked.
    ledger: Url,
    /// Token of the ledger.
    token: Secret,
}

/// What lives as long as the instance.
pub struct Frozen {
    settings: Settings,
}

/// What the ledger answers.
#[data]
pub struct Booked {
    /// Its receipt.
    pub receipt: String,
}

#[plugin]
impl Frozen {
    /// Refuses a ledger that is not called by HTTP.
    #[start]
    async fn start(settings: Settings, ctx: &Context) -> Result<Self, StartError> {
        ctx.sleep(Duration::from_millis(1)).await;
        match settings.ledger.scheme() {
            "http" | "https" => Ok(Self { settings }),
            _ => Err(StartError::new("the ledger is called by HTTP")),
        }
    }

    /// Takes an order.
    #[route(post, "/orders/{shop}", auth = public)]
    async fn place(&self, ctx: &Context, order: Json<OrderPlaced>) -> Result<Response, RouteError> {
        ctx.publish(order.0).idempotency_key("k-1").await?;
        Ok(Response::accepted())
    }

    /// Books it.
    #[handler(max_attempts = 5, backoff = "1s..1m", order = "key")]
    async fn book(&self, ctx: &Context, order: OrderPlaced) -> Result<(), HandlerError> {
        let request = ctx.http().post(&self.settings.ledger);
        let answer = request
            .bearer(&self.settings.token)
            .json(&order)
            .send()
            .await?;
        let booked: Booked = answer.error_for_status()?.json()?;
        if order.amount < 0 {
            panic!("an order of less than nothing");
        }
        ctx.publish(OrderBooked {
            number: order.number,
            receipt: booked.receipt,
        })
        .await?;
        Ok(())
    }
}
