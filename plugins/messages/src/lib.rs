//! The contract between the shipped plugins: what one publishes and another handles.
//!
//! In: nothing. Out: message types. Not here: any plugin. A plugin may depend on this crate, or declare a struct of
//! its own with the same type name.
#![forbid(unsafe_code)]

use coordinator_sdk::prelude::*;

/// A learner's payment was captured by a payment processor.
///
/// What the processor was not told is absent here, not invented: whoever needs it says which field is missing.
#[message("org.openedx.payment.received.v1", key = "order", lane = "orders")]
pub struct PaymentReceived {
    /// The processor, such as `stripe`.
    pub processor: String,
    /// The processor's id of the payment.
    pub payment: String,
    /// Order number; the payment's id where the order number is absent.
    pub order: String,
    /// Order number as the processor was told it.
    pub order_number: Option<String>,
    /// LMS user name of the learner.
    pub username: Option<String>,
    /// Course run keys, one for each seat that was paid for.
    pub courses: Vec<String>,
    /// What was received.
    pub amount: Money,
    /// When it was captured.
    pub paid_at: Timestamp,
}

/// A learner was enrolled, or not, in one course of an order.
#[message("org.openedx.fulfilment.completed.v1", key = "order", lane = "orders")]
pub struct FulfilmentCompleted {
    /// Order number.
    pub order: String,
    /// Course run key.
    pub course: String,
    /// LMS user name of the learner.
    pub username: String,
    /// Enrolment mode, such as `verified`.
    pub mode: String,
}
