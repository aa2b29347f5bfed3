//! Takes personal data and secrets out of what is logged or stored for operators.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::field;

/// What stands in place of a hidden value.
pub(crate) const REDACTED: &str = "[redacted]";

/// Fields whose values are never shown, whatever they hold.
const HIDDEN: [&str; 34] = [
    "address",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "birthdate",
    "body",
    "card",
    "cookie",
    "credential",
    "credentials",
    "email",
    "e_mail",
    "family_name",
    "first_name",
    "full_name",
    "given_name",
    "last_name",
    "learner",
    "mail",
    "master_key",
    "name",
    "passphrase",
    "passwd",
    "password",
    "payload",
    "phone",
    "private_key",
    "secret",
    "set_cookie",
    "signature",
    "surname",
    "token",
    "username",
];

/// Endings that make a field as secret as the bare word: `access_token`, `webhook_secret`.
const HIDDEN_ENDINGS: [&str; 8] = [
    "_address",
    "_email",
    "_key",
    "_name",
    "_password",
    "_secret",
    "_signature",
    "_token",
];

/// Endings of names that are ours and harmless: `plugin_name`.
const SHOWN: [&str; 8] = [
    "event_name",
    "file_name",
    "handler_name",
    "host_name",
    "idempotency_key",
    "ordering_key",
    "plugin_name",
    "schedule_name",
];

/// Decides by the names of fields and cleans texts.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    more: BTreeSet<String>,
}

impl Redactor {
    /// The built-in rules and these field names. Case, and dash or underscore, make no difference.
    #[must_use]
    pub fn new<'a>(more: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            more: more.into_iter().map(normal).collect(),
        }
    }

    /// Whether the value of this field is hidden. Only the part after the last dot counts
    /// (`customer.email`), except in names that are ours (`plugin.name`).
    #[must_use]
    pub fn hides(&self, field: &str) -> bool {
        if field::HARMLESS.contains(&field) {
            return false;
        }
        let full = normal(field);
        let last = full.rsplit('.').next().unwrap_or(&full);
        if self.more.contains(&full) || self.more.contains(last) {
            return true;
        }
        HIDDEN.contains(&last)
            || (HIDDEN_ENDINGS.iter().any(|ending| last.ends_with(ending))
                && !SHOWN.contains(&last))
    }
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// One pass over the text; the first alternative that matches at a place wins. Classes are spelled
/// out and mostly ASCII: Unicode's word characters and case folding take 30 ms to compile.
static SENSITIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?xi)
        # user:password@ in a URL
        (?P<url> :// ) [^/\s@"']+ @
        # headers, as they are printed by HTTP libraries
      | (?P<header> (?-u:\b) (?:proxy-)?authorization \\*["']? \s* [:=] \s* \\*["']? )
            (?: (?:bearer|basic|token|jwt) \s+ )? [^\s,;"'\\}]+
      | (?P<cookie> (?-u:\b) (?:set-)?cookie \\*["']? \s* [:=] \s* \\*["']? ) [^\r\n"\\]+
        # fields of JSON, plain or printed inside a string
      | (?P<json> \\*["'] (?: [0-9a-z_.-]* (?: email | password | passwd | passphrase | secret | token
                | api[_-]?key | signature | surname | phone )
            | (?: first | last | full | given | family | user | learner )? [_-]? name | learner )
            \\*["'] \s* : \s* )
            (?: "(?: [^"\\] | \\. )*" | \\+" [^"]* " | '[^']*' | [^\s,}\]]+ )
        # key=value, in URLs and messages
      | (?P<pair> (?-u:\b) [0-9a-z_.-]* (?: email | password | passwd | passphrase | secret | token
            | api[_-]?key | signature | (?: first | last | full | user ) _? name ) \s? = \s? )
            (?: "(?: [^"\\] | \\. )*" | '[^']*' | [^\s,;&)}\]"']+ )
        # what is recognised by its own form
      | (?P<scheme> (?-u:\b) (?:bearer|basic) \s+ ) [0-9a-z_.~+/=-]{8,}
      | (?P<key> (?-u:\b) (?: whsec | sk_live | sk_test | rk_live | rk_test ) _ [0-9a-z_+/=-]+
            | (?-u:\b) [0-9a-z_]+ _secret_ [0-9a-z_]+
            | (?-u:\b) eyJ [0-9a-z_-]{5,} \. [0-9a-z_-]+ (?: \. [0-9a-z_-]* )* )
      | (?P<email> (?-i: [0-9A-Za-z_\u{80}-\u{10ffff}.+'-]+ (?: @ | %40 )
            [0-9A-Za-z_\u{80}-\u{10ffff}-]+ (?: \. [0-9A-Za-z_\u{80}-\u{10ffff}-]+ )+ ) )
        "#,
    )
    .expect("the pattern is fixed and compiles")
});

/// The text without e-mail addresses, credentials and secrets. Borrowed if there was nothing to do.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    SENSITIVE.replace_all(text, |found: &Captures<'_>| {
        if found.name("email").is_some() {
            return "[email]".to_owned();
        }
        if found.name("key").is_some() {
            return REDACTED.to_owned();
        }
        if found.name("url").is_some() {
            return format!("://{REDACTED}@");
        }
        let kept = ["header", "cookie", "json", "pair", "scheme"]
            .iter()
            .find_map(|name| found.name(name));
        // What is JSON stays JSON.
        let quote = if found.name("json").is_some() {
            "\""
        } else {
            ""
        };
        format!(
            "{}{quote}{REDACTED}{quote}",
            kept.map_or("", |kept| kept.as_str())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_and_secrets_are_taken_out_of_text() {
        for (text, clean) in [
            ("sent to Ann.O'Neil+x@mail.example.org.", "sent to [email]."),
            (
                "GET /users?q=ann%40example.org&page=2",
                "GET /users?q=[email]&page=2",
            ),
            ("joost@börse.example", "[email]"),
            (
                "redis://app:hunter2@db.example.org/0",
                "redis://[redacted]@db.example.org/0",
            ),
            (
                "signed with whsec_MfKQ9r8GKYqrTwjUPD8=",
                "signed with [redacted]",
            ),
            (
                "key sk_live_4eC39HqLyjWDarjtT1zdp7dc refused",
                "key [redacted] refused",
            ),
            ("pi_3N_secret_YrKJUKri is known", "[redacted] is known"),
            ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
            ("got Bearer abcdefgh12345", "got Bearer [redacted]"),
            ("Cookie: a=1; sessionid=xyz", "Cookie: [redacted]"),
            ("jwt eyJhbGciOi.eyJzdWIiOi.c2ln", "jwt [redacted]"),
            ("?access_token=abc&x=1", "?access_token=[redacted]&x=1"),
            (
                r#"{"first_name":"Ann","n":1}"#,
                r#"{"first_name":"[redacted]","n":1}"#,
            ),
            (
                r#"{"password": "a\"b", "n": 1}"#,
                r#"{"password": "[redacted]", "n": 1}"#,
            ),
            (
                r#""{\"name\":\"Ann\",\"n\":1}""#,
                r#""{\"name\":"[redacted]",\"n\":1}""#,
            ),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn ordinary_text_is_left_alone_and_not_copied() {
        for text in [
            "handler `lms.enrol` failed on 0197-4242, next attempt in 4s",
            "plugins.lms.settings.token: the environment variable `LMS_TOKEN` is not set",
            "unexpected token: expected `,` or `}` at line 1 column 7",
            "plugin.name=lms route.path=/lms/charges status=503",
            "",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn fields_are_hidden_by_their_name() {
        let redactor = Redactor::new(["Order-Number"]);
        for field in [
            "email",
            "customer.email",
            "Access-Token",
            "order_number",
            "x.name",
            "billing_email",
        ] {
            assert!(redactor.hides(field), "{field}");
        }
        for field in [
            "plugin.name",
            "handler.name",
            "schedule.name",
            "plugin_name",
            "attempt",
            "tokens",
            "message",
        ] {
            assert!(!redactor.hides(field), "{field}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_survives_whatever_stands_around_it(
            before in "\\PC{0,20}", after in "[ \"',;:)}\\]]\\PC{0,20}",
        ) {
            let text = format!("{before} ann.example@mail.example.org{after}");
            proptest::prop_assert!(!redact(&text).contains("ann.example@mail"), "{}", redact(&text));
        }
    }
}
