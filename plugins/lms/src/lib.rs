//! Enrols learners in the edX LMS when they have paid.
#![forbid(unsafe_code)]

mod enrolment;

use coordinator_messages::{FulfilmentCompleted, PaymentReceived};
use coordinator_sdk::prelude::*;

use enrolment::Enrolment;

/// Settings of the LMS plugin.
#[settings]
pub struct Lms {
    /// Root of the LMS, such as `https://lms.example.org`.
    base_url: Url,
    /// OAuth2 access token of the Coordinator's LMS user.
    token: Secret,
    /// Enrolment mode of a paid seat.
    #[setting(default = "verified")]
    mode: String,
}

#[plugin]
impl Lms {
    /// Enrols the learner in every course of the payment, and says so.
    ///
    /// Enrolling again what is enrolled already changes nothing in the LMS, so a delivery that failed half-way
    /// starts again at its first course.
    #[handler(max_attempts = 20, backoff = "2s..15m", timeout = "30s", emits = [FulfilmentCompleted])]
    async fn enrol(&self, ctx: &Context, paid: PaymentReceived) -> Result<(), HandlerError> {
        let username = present(paid.username, "username")?;
        let order = present(paid.order_number, "order_number")?;
        if paid.courses.is_empty() {
            return Err(missing("course_id"));
        }
        for course in paid.courses {
            let enrolment = Enrolment::new(
                &username,
                &self.mode,
                &course,
                &order,
                &paid.processor,
                paid.paid_at,
            );
            self.post(ctx, &enrolment).await?;
            let (order, username, mode) = (order.clone(), username.clone(), self.mode.clone());
            ctx.publish(FulfilmentCompleted {
                order,
                course,
                username,
                mode,
            })
            .await?;
        }
        Ok(())
    }
}

impl Lms {
    /// `POST {LMS}/api/enrollment/v1/enrollment`.
    async fn post(&self, ctx: &Context, enrolment: &Enrolment) -> Result<(), HandlerError> {
        let url = self.base_url.join("api/enrollment/v1/enrollment")?;
        ctx.http()
            .post(&url)
            .bearer(&self.token)
            .json(enrolment)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }
}

fn present(field: Option<String>, name: &str) -> Result<String, HandlerError> {
    field
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| missing(name))
}

fn missing(name: &str) -> HandlerError {
    HandlerError::dead(format!(
        "the payment carries no `{name}`: the checkout did not tell the processor"
    ))
}

#[cfg(test)]
mod tests;
