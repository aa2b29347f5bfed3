//! Errors that are told whole: the error, then its causes.

/// An error type that `?` makes of any error, and an operator reads with all its causes.
macro_rules! chained_error {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name {
            chain: Vec<String>,
        }

        impl $name {
            /// With this reason.
            pub fn new(reason: impl Into<String>) -> Self {
                Self {
                    chain: vec![reason.into()],
                }
            }

            pub(crate) fn into_chain(self) -> Vec<String> {
                self.chain
            }
        }

        impl<E: std::error::Error + Send + Sync + 'static> From<E> for $name {
            fn from(error: E) -> Self {
                Self {
                    chain: $crate::error::chain(&error),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.chain.join(": "))
            }
        }
    };
}
pub(crate) use chained_error;

chained_error! {
    /// Why a plugin did not start. Made by `?` of any error.
    ///
    /// ```
    /// use coordinator_sdk::StartError;
    ///
    /// fn check(limit: u32) -> Result<(), StartError> {
    ///     if limit == 0 {
    ///         return Err(StartError::new("`limit` must be above zero"));
    ///     }
    ///     Ok(())
    /// }
    /// assert!(check(0).is_err());
    /// ```
    StartError
}
