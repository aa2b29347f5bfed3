//! Values that must not be seen: in logs, in answers, in `config show`.

use std::fmt;

/// A secret value. `Debug` and `Display` print `Secret(…)`; it cannot be serialised.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value as it is, white space included.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Use it where it is needed and keep no copy.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the value is empty, which no scheme accepts as a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("sk_live_4242");
        assert_eq!(format!("{secret} {secret:?}"), "Secret(…) Secret(…)");
        assert_eq!(secret.expose(), "sk_live_4242");
    }
}
