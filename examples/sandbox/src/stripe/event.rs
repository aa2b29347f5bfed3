//! One event of Stripe's, made from a template.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an event says. In every text `{n}` becomes the event's number, so that one template makes many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    /// The event's id; one id for several events makes duplicates.
    pub id: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The amount in the currency's minor unit: cents for USD, yen for JPY, fils for KWD.
    pub amount: u64,
    /// ISO 4217, in lower case as Stripe writes it.
    pub currency: String,
    /// `metadata.order_number`.
    pub order_number: String,
    /// `metadata.username`.
    pub username: String,
    /// `metadata.course_id`; several are separated by commas.
    pub course_id: String,
    /// Personal data that must not come out anywhere: the receipt's e-mail address.
    pub email: String,
    /// Personal data that must not come out anywhere: the name on the bill.
    pub billing_name: String,
    /// Metadata fields to leave out, such as `username`.
    pub omit: Vec<String>,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            id: "evt_sandbox_{n}".to_owned(),
            event_type: "payment_intent.succeeded".to_owned(),
            amount: 14_900,
            currency: "usd".to_owned(),
            order_number: "ORDER-{n}".to_owned(),
            username: "learner-{n}".to_owned(),
            course_id: "course-v1:SandboxX+Commerce101+2026".to_owned(),
            email: "learner-{n}@example.com".to_owned(),
            billing_name: "Quinn Payer-{n}".to_owned(),
            omit: Vec::new(),
        }
    }
}

impl Template {
    /// This template with its texts written for event `n`.
    #[must_use]
    pub fn numbered(&self, n: u64) -> Self {
        let written = |text: &str| text.replace("{n}", &n.to_string());
        Self {
            id: written(&self.id),
            event_type: written(&self.event_type),
            amount: self.amount,
            currency: written(&self.currency),
            order_number: written(&self.order_number),
            username: written(&self.username),
            course_id: written(&self.course_id),
            email: written(&self.email),
            billing_name: written(&self.billing_name),
            omit: self.omit.clone(),
        }
    }
}

/// The event that `template` describes, created at `now` (Unix seconds).
#[must_use]
pub fn event(template: &Template, now: u64) -> Value {
    json!({
        "id": template.id,
        "object": "event",
        "api_version": "2022-08-01",
        "created": now,
        "type": template.event_type,
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": "req_sandbox", "idempotency_key": null },
        "data": { "object": payment_intent(template, now) },
    })
}

fn payment_intent(template: &Template, now: u64) -> Value {
    json!({
        "id": format!("pi_{}", template.id),
        "object": "payment_intent",
        "amount": template.amount,
        "amount_received": template.amount,
        "amount_capturable": 0,
        "currency": template.currency,
        "status": "succeeded",
        "created": now,
        "livemode": false,
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "payment_method_types": ["card"],
        "customer": null,
        "description": null,
        "receipt_email": template.email,
        "metadata": metadata(template),
        "charges": {
            "object": "list",
            "has_more": false,
            "total_count": 1,
            "data": [charge(template, now)],
        },
    })
}

fn charge(template: &Template, now: u64) -> Value {
    json!({
        "id": format!("ch_{}", template.id),
        "object": "charge",
        "amount": template.amount,
        "amount_captured": template.amount,
        "amount_refunded": 0,
        "captured": true,
        "paid": true,
        "refunded": false,
        "currency": template.currency,
        "created": now,
        "status": "succeeded",
        "payment_intent": format!("pi_{}", template.id),
        "receipt_email": template.email,
        "billing_details": {
            "email": template.email,
            "name": template.billing_name,
            "phone": "+1 555 0100",
            "address": {
                "line1": "1 Sandbox Street",
                "line2": null,
                "city": "Springfield",
                "state": null,
                "postal_code": "00000",
                "country": "US",
            },
        },
        "payment_method_details": { "type": "card", "card": { "brand": "visa", "last4": "4242" } },
    })
}

fn metadata(template: &Template) -> Value {
    let mut metadata = json!({
        "order_number": template.order_number,
        "username": template.username,
        "course_id": template.course_id,
        "source_system": "sandbox",
    });
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|field, _| !template.omit.contains(field));
    }
    metadata
}
