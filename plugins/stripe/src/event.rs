//! The parts of Stripe's events that are read (<https://docs.stripe.com/api/events/object>).

use coordinator_sdk::prelude::*;

/// An event, of any type.
#[data]
pub(crate) struct Event {
    /// `evt_…`: the same for every redelivery.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Unix seconds.
    pub created: i64,
    /// What happened to what.
    pub data: EventData,
}

/// `data` of an event.
#[data]
pub(crate) struct EventData {
    /// Its shape hangs on the event's type.
    pub object: serde_json::Value,
}

/// A payment intent (<https://docs.stripe.com/api/payment_intents/object>).
#[data]
pub(crate) struct PaymentIntent {
    /// `pi_…`.
    pub id: String,
    /// Minor units.
    pub amount_received: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// What the checkout told Stripe.
    #[serde(default)]
    pub metadata: Metadata,
}

/// What the checkout told Stripe.
#[data]
#[derive(Default)]
pub(crate) struct Metadata {
    /// Order number.
    pub order_number: Option<String>,
    /// LMS user name.
    pub username: Option<String>,
    /// Course run keys, comma-separated.
    pub course_id: Option<String>,
}

/// The answer to an event that is not handled.
#[data]
pub(crate) struct Ignored {
    /// Always `ignored`.
    pub status: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Event {
    /// `data.object` of a payment event.
    pub(crate) fn object(&self) -> Result<PaymentIntent, RouteError> {
        Ok(serde_json::from_value(self.data.object.clone())?)
    }
}

impl Ignored {
    pub(crate) fn new(ty: &str) -> Self {
        Self {
            status: "ignored".to_owned(),
            ty: ty.to_owned(),
        }
    }
}
