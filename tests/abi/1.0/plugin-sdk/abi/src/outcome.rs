//! How every call across the boundary answers.

use abi_stable::StableAbi;

use crate::code::outcome;
use crate::{Code, SharedBytes};

/// The answer to a call.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct Outcome {
    /// See [`crate::code::outcome`].
    pub code: Code,
    /// Small structured part: what it holds depends on the call (see [`crate::call`]).
    pub meta: SharedBytes,
    /// Payload.
    pub body: SharedBytes,
}

impl Outcome {
    /// Done, with nothing to say.
    #[must_use]
    pub const fn ok() -> Self {
        Self {
            code: outcome::OK,
            meta: SharedBytes::new(),
            body: SharedBytes::new(),
        }
    }

    /// `code` with `meta` and no payload.
    #[must_use]
    pub fn with_meta(code: Code, meta: impl Into<SharedBytes>) -> Self {
        Self {
            code,
            meta: meta.into(),
            body: SharedBytes::new(),
        }
    }

    /// The callee panicked, saying `text`.
    #[must_use]
    pub fn panicked(text: String) -> Self {
        let failure = crate::call::FailureMeta {
            after_ms: None,
            chain: vec![text],
        };
        Self::with_meta(outcome::PANICKED, failure.encode())
    }

    /// Is it done?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == outcome::OK
    }
}
