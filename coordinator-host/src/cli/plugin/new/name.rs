//! The name of a new plugin, which becomes a folder, a crate, a library and a type.

use std::fmt;

/// Longest name; names go into URLs, logs and the journal.
const MAX_LEN: usize = 64;

/// Names whose crate or type would be in the way of Rust's or the SDK's own.
const TAKEN: [&str; 3] = [
    // Crates and keywords of Rust.
    "alloc core coordinator-sdk proc-macro std test tests as async await become box break const continue crate do \
     dyn else enum extern false final fn for gen if impl in let loop macro match mod move mut priv pub ref return \
     self static struct super trait true try type unsafe use where while yield",
    // Types of the SDK's prelude.
    "command-error context currency decide finding flow handler-error health-error json message money request response \
     route-error secret severity start-error step-error timestamp url",
    // Types of the templates.
    "basket happened new-order order-placed",
];

/// A name that a plugin may have.
pub(super) struct PluginName(String);

/// The name cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    /// Of another form.
    #[error(
        "`{0}` is not a plugin name\n  (lower-case letters, digits and single dashes, a letter first, at most {MAX_LEN}: `lms-notify`)"
    )]
    Form(String),
    /// A word that means something else.
    #[error(
        "a plugin cannot be named `{0}`: Rust or the SDK has something of that name\n  (say what it does: `{0}-notify`)"
    )]
    Taken(String),
}

impl PluginName {
    /// Checks the name.
    pub(super) fn try_new(text: &str) -> Result<Self, NameError> {
        let is_part = |part: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            !part.is_empty() && part.bytes().all(plain)
        };
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts || text.len() > MAX_LEN || !text.split('-').all(is_part) {
            return Err(NameError::Form(text.chars().take(MAX_LEN).collect()));
        }
        let mut taken = TAKEN.iter().flat_map(|words| words.split(' '));
        if taken.any(|word| word == text) {
            return Err(NameError::Taken(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// As written: `lms-notify`.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a library: `lms_notify`.
    pub(super) fn library(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As a type: `LmsNotify`.
    pub(super) fn type_name(&self) -> String {
        let capitalised = |part: &str| {
            let (first, rest) = part.split_at(1);
            first.to_ascii_uppercase() + rest
        };
        self.0.split('-').map(capitalised).collect()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_library_and_a_type() {
        let name = PluginName::try_new("lms-notify-2").unwrap();
        assert_eq!(name.library(), "lms_notify_2");
        assert_eq!(name.type_name(), "LmsNotify2");
    }

    #[test]
    fn a_name_that_would_not_compile_is_refused() {
        for bad in [
            "",
            "Lms",
            "2lms",
            "lms_notify",
            "-lms",
            "lms-",
            "a--b",
            "../lms",
            "fn",
            "context",
        ] {
            assert!(PluginName::try_new(bad).is_err(), "{bad}");
        }
    }
}
