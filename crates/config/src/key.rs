//! Where a setting stands: the path of table names to it.

use std::fmt;

/// A path such as `plugins.lms.path` or `wiring.handlers."lms.enrol".timeout`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Key(Vec<String>);

impl Key {
    pub(crate) fn new<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        Self(parts.into_iter().map(Into::into).collect())
    }

    /// Reads the form that `Display` prints.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut quoted = false;
        for letter in text.chars() {
            match letter {
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                other => parts.last_mut().expect("starts with one part").push(other),
            }
        }
        Self(parts)
    }

    pub(crate) fn child(&self, part: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_owned());
        Self(parts)
    }

    pub(crate) fn parts(&self) -> &[String] {
        &self.0
    }

    /// The key with the operator's own names replaced, as the documentation lists it.
    pub(crate) fn documented(&self) -> Self {
        let mut parts = self.0.clone();
        match parts.iter_mut().collect::<Vec<_>>().as_mut_slice() {
            [plugins, name, ..] if *plugins == "plugins" => **name = "NAME".to_owned(),
            [api, keys, name, ..] if *api == "api" && *keys == "keys" => **name = "NAME".to_owned(),
            [wiring, handlers, id, ..] if *wiring == "wiring" && *handlers == "handlers" => {
                **id = "INSTANCE.HANDLER".to_owned();
            }
            [wiring, schedules, name, ..] if *wiring == "wiring" && *schedules == "schedules" => {
                **name = "NAME".to_owned();
            }
            [wiring, pipelines, name, ..] if *wiring == "wiring" && *pipelines == "pipelines" => {
                **name = "TYPE.V1".to_owned();
            }
            [flags, id] if *flags == "flags" => **id = "INSTANCE.FLAG".to_owned(),
            _ => {}
        }
        Self(parts)
    }

    /// Whether a value at this key is better not shown, judged by the words in its last name.
    pub(crate) fn sounds_secret(&self) -> bool {
        const WORDS: [&str; 8] = [
            "secret",
            "token",
            "password",
            "passwd",
            "passphrase",
            "credential",
            "auth",
            "key",
        ];
        self.0.last().is_some_and(|last| {
            let last = last.to_ascii_lowercase();
            WORDS.iter().any(|word| last.contains(word))
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            let bare = !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            if bare {
                write!(f, "{dot}{part}")?;
            } else {
                write!(f, "{dot}\"{part}\"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_dots_in_a_name_reads_back() {
        let key = Key::new(["wiring", "handlers", "lms.enrol", "timeout"]);
        assert_eq!(key.to_string(), r#"wiring.handlers."lms.enrol".timeout"#);
        assert_eq!(Key::parse(&key.to_string()), key);
        assert_eq!(
            key.documented().to_string(),
            r#"wiring.handlers."INSTANCE.HANDLER".timeout"#
        );
    }
}
