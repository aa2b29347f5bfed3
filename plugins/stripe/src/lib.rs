//! Takes Stripe's webhooks and publishes the payments.
#![forbid(unsafe_code)]

mod event;

use coordinator_messages::PaymentReceived;
use coordinator_sdk::prelude::*;

use event::{Event, Ignored, PaymentIntent};

/// Settings of the Stripe plugin.
#[settings]
pub struct Stripe {
    /// Signing secrets of the webhook endpoint (`whsec_…`). Several while one replaces another.
    webhook_secret: Vec<Secret>,
}

#[plugin]
impl Stripe {
    /// Stripe posts its events here. `payment_intent.succeeded` becomes a payment; other types are answered 200
    /// `ignored`, so that Stripe does not send them again.
    #[route(post, "/webhook", verify = stripe(webhook_secret))]
    async fn webhook(&self, ctx: &Context, event: Json<Event>) -> Result<Response, RouteError> {
        let event = event.0;
        if event.ty != "payment_intent.succeeded" {
            return Response::json(200, &Ignored::new(&event.ty));
        }
        let intent: PaymentIntent = event.object()?;
        let paid = intent.into_message(event.created)?;
        let receipt = ctx.publish(paid).idempotency_key(&event.id).await?;
        tracing::info!(
            stripe.event_id = %event.id, cloudevents.event_id = %receipt.id, duplicate = receipt.duplicate,
            "took `{}`", event.id
        );
        Ok(Response::accepted())
    }
}

impl PaymentIntent {
    /// Amounts stay what Stripe sends: integers in the minor unit of their currency
    /// (<https://docs.stripe.com/currencies#zero-decimal>).
    fn into_message(self, created: i64) -> Result<PaymentReceived, RouteError> {
        let currency = self.currency.parse::<Currency>();
        let currency = currency.map_err(|error| RouteError::bad_request(error.to_string()))?;
        let courses = self
            .metadata
            .course_id
            .as_deref()
            .unwrap_or_default()
            .split(',');
        let courses = courses.map(str::trim).filter(|course| !course.is_empty());
        Ok(PaymentReceived {
            processor: "stripe".to_owned(),
            order: self
                .metadata
                .order_number
                .clone()
                .unwrap_or_else(|| self.id.clone()),
            payment: self.id,
            order_number: self.metadata.order_number,
            username: self.metadata.username,
            courses: courses.map(str::to_owned).collect(),
            amount: Money::new(self.amount_received, currency),
            paid_at: Timestamp::from_millis(created.saturating_mul(1_000)),
        })
    }
}

#[cfg(test)]
mod tests;
