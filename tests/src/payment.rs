//! Payments as Stripe tells of them.

use std::time::{SystemTime, UNIX_EPOCH};

use coordinator_sandbox::stripe::{self, Template};

use crate::{Answer, Ask, STRIPE_SECRET};

/// One event of Stripe's, signed when it is sent.
#[derive(Debug, Clone)]
pub struct Payment {
    /// What it says.
    pub template: Template,
}

impl Payment {
    /// The payment of order `ORDER-{n}` by `learner-{n}`, for one course.
    #[must_use]
    pub fn numbered(n: u64) -> Self {
        Self {
            template: Template::default().numbered(n),
        }
    }

    /// The body as it is sent now.
    #[must_use]
    pub fn body(&self) -> String {
        stripe::event(&self.template, now()).to_string()
    }

    /// Sends it to the plugin `stripe` of the host at `url`; `None` if no answer came.
    #[must_use]
    pub fn post(&self, url: &str) -> Option<Answer> {
        Self::signed(url, &self.body()).try_send()
    }

    /// A webhook with this body, signed now.
    #[must_use]
    pub fn signed(url: &str, body: &str) -> Ask {
        Self::signed_at(now(), url, body)
    }

    /// A webhook with this body, signed at `time` (Unix seconds).
    #[must_use]
    pub fn signed_at(time: u64, url: &str, body: &str) -> Ask {
        let signature = stripe::sign(STRIPE_SECRET, time, body.as_bytes());
        Ask::new("POST", &format!("{url}/stripe/webhook"))
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", &signature)
            .body(body)
    }
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
