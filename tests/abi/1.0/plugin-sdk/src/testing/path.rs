//! Which route a request fits.

/// The parameters of `path` if it fits `pattern`.
pub(super) fn parameters(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut params = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(params),
            (Some(name), Some(value)) if name.starts_with('{') && !value.is_empty() => {
                params.push((name.trim_matches(['{', '}']).to_owned(), value.to_owned()));
            }
            (Some(expected), Some(found)) if expected == found => {}
            _ => return None,
        }
    }
}
