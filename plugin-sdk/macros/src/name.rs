//! Names that outlive a version of the plugin: of message types and of pipelines.

use syn::{Error, LitStr, Result};

/// Holds a name against reverse-DNS with a version at its end. `what` and `example` say it for the author.
pub(crate) fn check(literal: &LitStr, what: &str, example: &str) -> Result<()> {
    let text = literal.value();
    let segments: Vec<&str> = text.split('.').collect();
    let version = segments.last().and_then(|last| last.strip_prefix('v'));
    if !version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit())) {
        let text = format!("a {what} ends with its version, such as `.v1`");
        return Err(Error::new(literal.span(), text));
    }
    let fits = |segment: &&str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    if segments.len() < 3 || text.len() > 200 || !segments.iter().all(fits) {
        let text = format!("a {what} is reverse-DNS in lower case, such as `{example}`");
        return Err(Error::new(literal.span(), text));
    }
    Ok(())
}
