//! `[trust]`: which plugin files may be loaded. Each setting is explained in `default.toml`.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::reader::Reader;
use crate::value::{Raw, Setting};

/// `[trust]`: which plugin files may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The rule.
    pub policy: TrustPolicy,
    /// The file with the hashes of trusted files.
    pub lock_file: PathBuf,
    /// The keys whose signatures count.
    pub keys: Vec<TrustKey>,
}

/// Which plugin files may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustPolicy {
    /// What is configured.
    Any,
    /// What is configured and stands in the lock file with its hash.
    Locked,
    /// What is configured and signed by one of the keys.
    Signed,
}

/// A public key that signs plugin files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustKey {
    /// In minisign's form: the second line of its `.pub` file.
    pub key: String,
    /// Who holds it.
    pub name: Option<String>,
    /// Nothing that it signed is loaded from then on.
    pub expires: Option<SystemTime>,
    /// Nothing that it signed is loaded.
    pub revoked: bool,
}

/// What minisign writes: 42 bytes as base64, of which the first two are the algorithm.
const KEY_LENGTH: usize = 56;
const KEY_EXPECTED: &str =
    "a minisign public key, the second line of its `.pub` file: 56 characters that begin with `RW`";

impl Trust {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let keys = from.items("keys", "key", KEY_EXPECTED, TrustKey::read);
        let trust = Self {
            policy: from.get("policy"),
            lock_file: from.path(from.get("lock_file")),
            keys,
        };
        if trust.policy == TrustPolicy::Signed && trust.keys.is_empty() {
            from.reject("policy", "needs at least one key in `trust.keys`");
        }
        let mut seen = Vec::new();
        for TrustKey { key, .. } in &trust.keys {
            if !key.is_empty() && seen.contains(&key) {
                let problem =
                    format!("`{key}` is there twice: which of them counts cannot be told");
                from.reject("keys", &problem);
            }
            seen.push(key);
        }
        trust
    }
}

impl TrustKey {
    fn read(from: &Reader<'_>) -> Self {
        let key: Option<String> = from.required("key");
        if key.as_ref().is_some_and(|key| !is_key(key)) {
            from.reject("key", &format!("expected {KEY_EXPECTED}"));
        }
        Self {
            key: key.unwrap_or_default(),
            name: from.optional("name"),
            expires: from.optional("expires"),
            revoked: from.get_or("revoked", false),
        }
    }
}

fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // `Ed`, and the first bits of the key's id.
    let begins = text.starts_with("RW") && text[2..].starts_with(['Q', 'R', 'S', 'T']);
    text.len() == KEY_LENGTH && text.bytes().all(plain) && begins
}

impl Setting for TrustPolicy {
    const EXPECTED: &'static str = "\"locked\", \"signed\" or \"any\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "locked" => Some(Self::Locked),
            "signed" => Some(Self::Signed),
            "any" => Some(Self::Any),
            _ => None,
        }
    }
}

impl Setting for SystemTime {
    const EXPECTED: &'static str = "a time in UTC such as \"2027-01-01T00:00:00Z\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        humantime::parse_rfc3339(raw.text()?).ok()
    }
}
