//! The schemes by name. A new scheme is one file with `verify` and `sign`, and a row here.

use std::fmt;

/// How a provider signs its webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 in hexadecimal
    /// ([Stripe](https://docs.stripe.com/webhooks#verify-manually)).
    Stripe,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`, HMAC-SHA256 in base64
    /// ([Standard Webhooks](https://www.standardwebhooks.com)).
    StandardWebhooks,
}

/// No scheme has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown webhook scheme `{found}`{}", self.hint())]
pub struct UnknownScheme {
    found: String,
}

impl Scheme {
    /// All schemes, in the order in which they are listed to people.
    pub const ALL: [Self; 2] = [Self::StandardWebhooks, Self::Stripe];

    /// Finds a scheme by its name in manifests and on the command line.
    ///
    /// # Errors
    /// When no scheme has this name; the message offers the nearest one.
    pub fn parse(name: &str) -> Result<Self, UnknownScheme> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or_else(|| UnknownScheme {
                found: name.chars().take(64).collect(),
            })
    }

    /// The name in manifests and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::StandardWebhooks => "standard_webhooks",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl UnknownScheme {
    fn hint(&self) -> String {
        let names = Scheme::ALL.map(Scheme::name);
        match coordinator_config::nearest(&self.found, names) {
            Some(near) => format!("\n  (did you mean `{near}`?)"),
            None => format!("\n  (known: {})", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_found_by_its_name() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::parse(scheme.name()).unwrap(), scheme);
        }
    }

    #[test]
    fn a_mistyped_scheme_is_answered_with_the_nearest() {
        let error = Scheme::parse("standard-webhooks").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown webhook scheme `standard-webhooks`\n  (did you mean `standard_webhooks`?)"
        );
        let error = Scheme::parse("paypol").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown webhook scheme `paypol`\n  (known: standard_webhooks, stripe)"
        );
    }
}
