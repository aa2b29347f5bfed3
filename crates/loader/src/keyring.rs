//! Public keys that the operator trusts, and what each of them may still sign.

use std::time::SystemTime;

use minisign_verify::{Error as MinisignError, PublicKey};

use crate::error::Refusal;
use crate::signature::{Signature, Signed, key_id};
use crate::trust::untrusted;

/// A public key that signs plugin files.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    key: PublicKey,
    id: String,
    name: Option<String>,
    expires: Option<SystemTime>,
    revoked: bool,
}

/// The text is no minisign public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a minisign public key\n  (give the second line of its `.pub` file: 56 characters that begin with `RW`)"
)]
pub struct KeyError {
    text: String,
}

/// Every key that is trusted, and those that were and are not to be trusted again.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Vec<TrustedKey>);

impl TrustedKey {
    /// A key in minisign's form: the second line of a `.pub` file.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let refuse = || KeyError {
            text: text.to_owned(),
        };
        let key = PublicKey::from_base64(text.trim()).map_err(|_| refuse())?;
        Ok(Self {
            key,
            id: key_id(text.trim()).ok_or_else(refuse)?,
            name: None,
            expires: None,
            revoked: false,
        })
    }

    /// Who holds it, for messages.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// From this time on nothing that it signed is loaded, whenever it was signed: who has stolen a key can date back.
    #[must_use]
    pub fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// Nothing that it signed is loaded. It stays in the list so that a refusal can say why.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// `acme (8F2C…)`, or the bare id, as minisign prints it.
    fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}` ({})", self.id),
            None => format!("the key {}", self.id),
        }
    }
}

impl FromIterator<TrustedKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = TrustedKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Keyring {
    /// Has a key that may sign at `now` signed these bytes?
    pub(crate) fn check(
        &self,
        signature: &str,
        bytes: &[u8],
        now: SystemTime,
    ) -> Result<Signed, Refusal> {
        let signature = Signature::parse(signature)?;
        let Some(key) = self.0.iter().find(|key| key.id == signature.key_id) else {
            return Err(untrusted(
                format!(
                    "it is signed by a key that is not trusted: {}",
                    signature.key_id
                ),
                "if you trust its holder, add the public key to `keys` in `[trust]`",
            ));
        };
        if key.revoked {
            return Err(untrusted(
                format!("it is signed by {}, which is revoked", key.shown()),
                "get the file signed with another key, or take it off this host",
            ));
        }
        if let Some(expires) = key.expires.filter(|expires| *expires <= now) {
            let expired = humantime::format_rfc3339_seconds(expires);
            return Err(untrusted(
                format!(
                    "it is signed by {}, which expired at {expired}",
                    key.shown()
                ),
                "get the file signed with a key that is valid",
            ));
        }
        match key.key.verify(bytes, signature.decoded(), false) {
            Ok(()) => Ok(signature.verified_by(key.name.as_deref(), key.shown())),
            Err(MinisignError::UnexpectedAlgorithm) => Err(untrusted(
                "its signature is of minisign's old kind, over the file itself and not over its hash",
                "sign the file again, with `coordinator plugin sign` or minisign 0.10 or later",
            )),
            Err(_) => Err(untrusted(
                format!(
                    "its signature by {} is not for these bytes: the file was changed after it was signed, or the \
                     signature is another file's",
                    key.shown()
                ),
                "get the file and its signature again, from where they come from",
            )),
        }
    }
}
