//! What an operator fills in.

use std::fmt;

use coordinator_abi::manifest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::DecodeError;

/// A value that is never printed. An operator writes it as `env:NAME` or `file:PATH`; the host resolves it.
///
/// ```
/// use coordinator_sdk::Secret;
///
/// let key: Secret = "whsec_123".into();
/// assert_eq!(format!("{key:?}"), "Secret(…)");
/// assert_eq!(key.expose(), "whsec_123");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value, to be sent and not to be kept or logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// An instance's settings were not had.
///
/// ```
/// use coordinator_sdk::{SettingsError, prelude::*};
///
/// /// Settings.
/// #[settings]
/// pub struct Shop {
///     /// How many at most.
///     limit: u32,
/// }
///
/// async fn limit(ctx: &Context) -> u32 {
///     match ctx.settings::<Shop>().await {
///         Ok(shop) => shop.limit,
///         // The host is older than this plugin, and does not tell them to a call.
///         Err(SettingsError::Failed(_)) => 10,
///         Err(SettingsError::Unfit(error)) => panic!("`Shop` is the settings of this plugin: {error}"),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The host did not tell them.
    #[error("the settings were not told: {0}")]
    Failed(String),
    /// They are of another type.
    #[error("the settings are of another type")]
    Unfit(#[source] DecodeError),
}

/// Written by `#[settings]`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a settings struct",
    label = "has no `#[settings]`",
    note = "write `#[settings]` on it, or add a `#[start]` function that takes the settings"
)]
pub trait Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Lines of the ELF section.
    const ROWS: &'static str;
    /// For the manifest.
    fn describe() -> Vec<manifest::Setting>;
}

/// Types that hold the secret of a verified route.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a route is verified with a setting of type `Secret` or `Vec<Secret>`, not `{Self}`",
    label = "not a secret"
)]
pub trait HoldsSecret {}
impl HoldsSecret for Secret {}
impl HoldsSecret for Vec<Secret> {}
impl HoldsSecret for Option<Secret> {}

/// Compiles for a secret only.
#[doc(hidden)]
pub fn is_secret<T: HoldsSecret>(_: &T) {}
